import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { setImmediate as othersFirst } from 'node:timers/promises';
import { divide } from '../initramfs/archive.ts';
import { type ArrangedEntry, arrange } from '../initramfs/arrange.ts';
import { compressorName } from '../initramfs/compressor.ts';
import type { Entry } from '../initramfs/entry.ts';
import { shown } from '../initramfs/error.ts';
import { deviceOf, type MemberSum } from '../initramfs/member.ts';
import { formatReference } from '../oci/reference.ts';
import type { AssemblyEnvironment } from './assembly-environment.ts';
import { collectGarbage } from './garbage.ts';
import { hashOf } from './identity.ts';
import { adjust } from './image-tree.ts';
import type { InitrdMember, InitrdPart } from './initrd.ts';
import type { OpenTrees } from './open-trees.ts';
import type { Adjustment } from './overlay.ts';
import { type PartTask, writePartFile } from './part-file.ts';
import type { Compression } from './record.ts';
import { ENGINE_SALTS } from './salts.ts';
import type { MemberSource, TreeSource } from './sources.ts';
import { type MemberFacts, parseMemberFacts } from './tree-facts.ts';
import { linkableSource, type WorkFile } from './work-file.ts';

/** Uncompressed bytes of a part: small enough to keep all cores busy, large enough to compress well. */
const PART_SIZE = 4 * 1024 * 1024;

export const NO_ADJUSTMENT: Adjustment = { moves: [], removed: [], added: [] };

/** Everything that determines a member's bytes. */
export function memberHash(source: MemberSource, adjustment: Adjustment, compression: Compression): string {
  const { image, kind, place } = source;
  return hashOf({
    what: 'member',
    salts: ENGINE_SALTS,
    compressor: compressorName(compression),
    partSize: PART_SIZE,
    image: image.digest,
    kind,
    place,
    ...(source.kind === 'kernel' ? { tar: source.step.tar } : layoutKey(source)),
    adjustment,
  });
}

/** Nothing for a source whose files are taken; otherwise what was chosen of the image. */
export function layoutKey({ layout }: TreeSource): object {
  return layout === undefined
    ? {}
    : {
        layout: [...layout.documents, ...layout.blobs].map(({ digest }) => digest),
        reference: formatReference(layout.reference),
      };
}

/** The member of a source, if an earlier build left it in the cache. */
export async function cachedMember(
  source: MemberSource,
  hash: string,
  environment: AssemblyEnvironment,
): Promise<InitrdMember | undefined> {
  const facts = await environment.cache?.record(hash, parseMemberFacts);
  if (facts === undefined) return undefined;
  const size = facts.parts.reduce((sum, { stored }) => sum + stored.size, 0);
  environment.report({ kind: 'member', name: source.name, cached: true, size });
  return { name: source.name, parts: facts.parts };
}

/** Makes the member of a source from its image, and leaves it in the cache under `hash`. */
export async function makeMember(
  source: MemberSource,
  hash: string,
  options: {
    readonly adjustment: Adjustment;
    readonly compression: Compression;
    readonly trees: OpenTrees;
    /** Whether a folder is in the tree as a whole. */
    readonly outside: (path: string) => boolean;
  },
  environment: AssemblyEnvironment,
): Promise<InitrdMember> {
  const { adjustment, compression, trees } = options;
  const own = await entriesOf(source, trees);
  await othersFirst();
  const entries = arrange(adjust(own, adjustment), options.outside);
  trees.forget(source);
  await othersFirst();
  if (entries.length > MANY_ENTRIES) collectGarbage();
  warnOfAttributes(source.name, entries, environment.report);
  // Not the location: the same image at another place of the list is the same member.
  const place = `${source.kind} ${source.place} ${source.image.digest}`;
  const { cache, thread } = environment;
  const parts = { place, compression, trailer: false };
  const member = await writeParts(source.name, entries, parts, (task) => thread.writePart(task), environment);
  await trees.close(source);
  const facts: MemberFacts = { parts: member.parts.map(({ stored, archive }) => ({ stored, archive })) };
  cache?.keep(
    hash,
    facts,
    member.parts.map(({ file }) => linkableSource(file)),
  );
  return member;
}

/** From so many entries on, what was made on the way to them is worth being looked for. */
const MANY_ENTRIES = 10_000;

async function entriesOf(source: MemberSource, trees: OpenTrees): Promise<readonly Entry[]> {
  const { tree } = await (source.kind === 'kernel' ? trees.openKernel(source) : trees.open(source));
  return tree.entries;
}

/** Files that are named in a warning; of others the number is told. */
const MAX_NAMED = 3;

/** An initrd has no room for extended attributes. Programs that have their capabilities from them fail. */
export function warnOfAttributes(
  name: string,
  entries: readonly ArrangedEntry[],
  report: AssemblyEnvironment['report'],
): void {
  const having = entries.filter(({ xattrs }) => xattrs !== undefined && xattrs.size > 0);
  if (having.length === 0) return;
  const named = having
    .slice(0, MAX_NAMED)
    .map(
      ({ path, xattrs }) => `${shown(path)} (${[...(xattrs ?? new Map<string, never>()).keys()].join(', ')})`,
    );
  const more = having.length > MAX_NAMED ? ` and ${having.length - MAX_NAMED} more` : '';
  report({
    kind: 'warning',
    message: `${name}: an initrd cannot hold extended attributes; they are lost of ${named.join(', ')}${more}. Give the container the capabilities instead`,
  });
}

/** The name of the last member, which is made for each build; the others are named by where they are configured. */
export const LAST_MEMBER = 'files';

/** Writes entries as the last member, which ends the archive. `outside` tells which folders earlier members have. */
export async function makeLastMember(
  entries: readonly Entry[],
  compression: Compression,
  outside: (path: string) => boolean,
  environment: AssemblyEnvironment,
): Promise<InitrdMember> {
  const options = { place: LAST_MEMBER, compression, trailer: true };
  const { signal } = environment;
  // Its content is in memory or elsewhere, and little: not worth a thread.
  const write = (task: PartTask): Promise<MemberSum> => writePartFile(task, signal);
  return writeParts(LAST_MEMBER, arrange(entries, outside), options, write, environment);
}

/** A member whose parts are all in files of the work folder. */
interface WrittenMember {
  readonly name: string;
  readonly parts: readonly (InitrdPart & { readonly file: WorkFile })[];
}

/** Writes entries to files of their own, a part each, several at the same time. */
async function writeParts(
  name: string,
  entries: readonly ArrangedEntry[],
  options: { readonly place: string; readonly compression: Compression; readonly trailer: boolean },
  write: (task: PartTask) => Promise<MemberSum>,
  { folder, slots, report }: AssemblyEnvironment,
): Promise<WrittenMember> {
  const runs = divide(entries, PART_SIZE);
  const device = deviceOf(options.place);
  const { compression } = options;
  const parts = await Promise.all(
    runs.map((run) =>
      // A file too large to be divided goes first, since nothing helps it at the end. Of all others those that came
      // first, so that their members are done and their images can go.
      slots.run(run.size > PART_SIZE ? run.size : 0, async () => {
        const path = join(folder, `part-${randomUUID()}`);
        const trailer = options.trailer && run === runs.at(-1);
        const sum = await write({ run, device, trailer, compression, path });
        return { ...sum, file: { path, ...sum.stored } };
      }),
    ),
  );
  const size = parts.reduce((sum, { stored }) => sum + stored.size, 0);
  report({ kind: 'member', name, cached: false, size });
  return { name, parts };
}
