import { createHash } from 'node:crypto';
import type { Artifact } from '../api/image.ts';
import type { LinuxKitMachine, MachineSpec } from '../api/machine.ts';
import { ANNOTATION_RESTART } from '../api/names.ts';
import { canonicalJson } from './canonical-json.ts';
import { metadataJson } from './guest-metadata.ts';
import { kernelArguments } from './kernel-args.ts';

/**
 * The fields of a machine's spec that an instance takes in when it starts and never after. Together
 * with the artifact they are its revision. What KubeVirt changes on a running instance (scheduling), and
 * what is about the machines as a whole, is not among them.
 */
export const REVISION_FIELDS = [
  'kernelArgs',
  'cpu',
  'memory',
  'instancetype',
  'preference',
  'network',
  'disks',
  'metadata',
  'readinessProbe',
  'livenessProbe',
  'terminationGracePeriodSeconds',
  'evictionStrategy',
  'logSerialConsole',
  'template',
] as const satisfies readonly (keyof MachineSpec)[];

export type RevisionSpec = Pick<MachineSpec, (typeof REVISION_FIELDS)[number]>;

/** What a virtual machine is made to boot. */
export interface BootRevision {
  /** Stands on the template as an annotation, and so on each instance made from it. */
  readonly name: string;
  readonly artifact: Artifact;
  /** The restart that was last asked for. */
  readonly restart?: string | undefined;
}

/** The part of a spec that is the revision's. */
export function revisionSpec(spec: MachineSpec): RevisionSpec {
  return Object.fromEntries(
    REVISION_FIELDS.flatMap((field) => (spec[field] === undefined ? [] : [[field, spec[field]]])),
  ) as unknown as RevisionSpec;
}

/** The machine as it was with a revision; everything that is not part of revisions is as it is now. */
export function withRevisionSpec(machine: LinuxKitMachine, part: RevisionSpec): LinuxKitMachine {
  const taken: ReadonlySet<string> = new Set(REVISION_FIELDS);
  const others = Object.fromEntries(Object.entries(machine.spec).filter(([field]) => !taken.has(field)));
  return { ...machine, spec: { ...others, ...part } as MachineSpec };
}

/**
 * Names what virtual machines have to be restarted for: the machine's name, and 10 hex digits over
 * everything that an instance takes in when it starts. A virtual machine is up to date when its
 * instance carries the wanted one. The owner is part of it: the revisions of a machine of this name that
 * was deleted may still be there.
 *
 * The projection is written out. Hashing what is rendered would restart every machine whenever
 * a new version of the operator renders one field more. Fields that are absent leave no trace.
 */
export function revisionName(machine: LinuxKitMachine, artifact: Artifact): string {
  const { spec, metadata } = machine;
  const projection = {
    uid: metadata.uid,
    artifact: artifact.digest,
    bootImage: artifact.bootImage.digest,
    bootRepository: artifact.bootImage.repository,
    bootPullSecret: artifact.bootImage.pullSecretName,
    kernelArgs: kernelArguments(artifact, spec.kernelArgs),
    cpu: spec.cpu,
    memory: spec.memory === undefined ? undefined : String(spec.memory),
    instancetype: spec.instancetype,
    preference: spec.preference,
    network: spec.network,
    // A changed claim template is for claims that are yet to be made.
    disks: spec.disks?.map((disk) =>
      disk.volumeClaimTemplate === undefined ? disk : { ...disk, volumeClaimTemplate: true },
    ),
    // Of one virtual machine for all: they differ by the ordinal alone.
    metadata: metadataJson(machine, 0),
    metadataSecret: spec.metadata?.secretRef?.name,
    readinessProbe: spec.readinessProbe,
    livenessProbe: spec.livenessProbe,
    terminationGracePeriodSeconds: spec.terminationGracePeriodSeconds,
    evictionStrategy: spec.evictionStrategy,
    logSerialConsole: spec.logSerialConsole,
    template: spec.template,
  };
  const hash = createHash('sha256').update(canonicalJson(projection)).digest('hex');
  return `${metadata.name}-${hash.slice(0, 10)}`;
}

/**
 * The restart that was last asked for. Taking the annotation away must not restart anything, so
 * status remembers it.
 */
export function restartToken(machine: LinuxKitMachine): string | undefined {
  return (
    machine.metadata.annotations?.[ANNOTATION_RESTART]?.slice(0, 256) ?? machine.status?.lastHandledRestart
  );
}
