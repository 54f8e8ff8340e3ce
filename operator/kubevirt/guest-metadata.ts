import { createHash } from 'node:crypto';
import type { LinuxKitMachine } from '../api/machine.ts';
import { LABEL_MACHINE } from '../api/names.ts';
import { canonicalJson } from './canonical-json.ts';
import { ownedBy } from './owner.ts';
import type { Metadata } from './types.ts';

/**
 * The JSON that LinuxKit's metadata package reads from a CD-ROM (`metadata cdrom`) and lays out
 * below /run/config: every node is a file `{perm, content}` or a folder `{entries}`.
 */

/** The key, and so the file on the CD-ROM, that the metadata package looks for first. */
const METADATA_KEY = 'user-data';

/** A ConfigMap holds at most 1 MiB; some of it is not ours to fill. */
const LONGEST_METADATA = 1_000_000;

interface GuestFile {
  readonly perm: string;
  readonly content: string;
}
interface GuestFolder {
  readonly entries: { [name: string]: GuestFile | GuestFolder };
}

export interface MetadataConfigMap {
  readonly apiVersion: 'v1';
  readonly kind: 'ConfigMap';
  readonly metadata: Metadata;
  readonly immutable: true;
  readonly data: Readonly<Record<string, string>>;
}

export function machineName(machine: LinuxKitMachine, ordinal: number): string {
  return `${machine.metadata.name}-${ordinal}`;
}

/** Files below /run/config by path; undefined when the metadata comes from a Secret, or there is none. */
function guestFiles(machine: LinuxKitMachine, ordinal: number): ReadonlyMap<string, GuestFile> | undefined {
  const { metadata } = machine.spec;
  if (metadata === undefined || metadata.secretRef !== undefined) return undefined;
  const files = new Map<string, GuestFile>();
  const hostname =
    metadata.hostname === undefined ? machineName(machine, ordinal) : `${metadata.hostname}-${ordinal}`;
  files.set('hostname', { perm: '0644', content: hostname });
  if (metadata.sshAuthorizedKeys !== undefined) {
    const content = metadata.sshAuthorizedKeys.map((key) => `${key}\n`).join('');
    files.set('ssh/authorized_keys', { perm: '0600', content });
  }
  for (const file of metadata.files ?? []) {
    files.set(file.path.replace(/^\//, ''), { perm: file.perm, content: file.content });
  }
  return files;
}

/** Without a prototype: a file may be named `__proto__`. */
function emptyFolder(): GuestFolder {
  return { entries: Object.create(null) as GuestFolder['entries'] };
}

/** The metadata JSON of one virtual machine. */
export function metadataJson(machine: LinuxKitMachine, ordinal: number): string | undefined {
  const files = guestFiles(machine, ordinal);
  if (files === undefined) return undefined;
  const root = emptyFolder();
  for (const [path, file] of files) {
    const parts = path.split('/');
    const name = parts.pop() ?? path;
    let folder = root;
    for (const part of parts) {
      const known = folder.entries[part];
      const next: GuestFolder = known !== undefined && 'entries' in known ? known : emptyFolder();
      folder.entries[part] = next;
      folder = next;
    }
    folder.entries[name] = file;
  }
  return canonicalJson(root.entries);
}

/** What is wrong with the inline metadata, if anything. */
export function metadataProblem(machine: LinuxKitMachine): string | undefined {
  const files = guestFiles(machine, 0);
  if (files === undefined) return undefined;
  const given = (machine.spec.metadata?.files ?? []).map((file) => file.path.replace(/^\//, ''));
  const twice = given.find((path, index) => given.indexOf(path) !== index);
  if (twice !== undefined) return `files: ${twice} is given twice, once with a leading slash`;
  const ours = given.find(
    (path) =>
      path === 'hostname' || (path === 'ssh/authorized_keys' && machine.spec.metadata?.sshAuthorizedKeys),
  );
  if (ours !== undefined) return `files: ${ours} is written by hostname or sshAuthorizedKeys`;
  for (const path of files.keys()) {
    const inside = [...files.keys()].find((other) => other.startsWith(`${path}/`));
    if (inside !== undefined) return `files: ${path} cannot be a file and hold ${inside}`;
  }
  const size = Buffer.byteLength(metadataJson(machine, machine.spec.replicas) ?? '');
  if (size > LONGEST_METADATA)
    return `all of it has ${size} bytes; at most ${LONGEST_METADATA} fit into a ConfigMap`;
  return undefined;
}

/**
 * The ConfigMap with the metadata of one virtual machine. Named by its content: a machine that has
 * not been restarted yet keeps what it was started with, and can be taken back to it. And by
 * its owner, whose predecessor of the same name may still be taking its own with it.
 */
export function metadataConfigMap(machine: LinuxKitMachine, ordinal: number): MetadataConfigMap | undefined {
  const json = metadataJson(machine, ordinal);
  if (json === undefined) return undefined;
  const hash = createHash('sha256').update(machine.metadata.uid).update(json).digest('hex').slice(0, 10);
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name: `${machineName(machine, ordinal)}-metadata-${hash}`,
      namespace: machine.metadata.namespace,
      labels: { [LABEL_MACHINE]: machine.metadata.name },
      ownerReferences: [ownedBy(machine)],
    },
    immutable: true,
    data: { [METADATA_KEY]: json },
  };
}
