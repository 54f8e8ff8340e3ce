import { createHash } from 'node:crypto';
import type { Artifact } from '../api/image.ts';
import type { LinuxKitMachine } from '../api/machine.ts';
import { ANNOTATION_RESTART } from '../api/names.ts';
import { canonicalJson } from './canonical-json.ts';
import { metadataJson } from './guest-metadata.ts';
import { kernelArguments } from './kernel-args.ts';

/**
 * Names what a virtual machine has to be restarted for: 16 hex digits over everything that an
 * instance takes in when it starts and never after. It stands on the template as an annotation,
 * and so on each instance; a machine is up to date when its instance carries the wanted one.
 *
 * The projection is written out. Hashing what is rendered would restart every machine whenever
 * a new version of the operator renders one field more. What KubeVirt changes on a running
 * instance (scheduling) is not part of it.
 */
export function revisionOf(machine: LinuxKitMachine, artifact: Artifact, ordinal: number): string {
  const { spec } = machine;
  const projection = {
    artifact: artifact.digest,
    bootImage: artifact.bootImage.digest,
    kernelArgs: kernelArguments(artifact, spec.kernelArgs),
    cpu: spec.cpu,
    memory: spec.memory === undefined ? undefined : String(spec.memory),
    instancetype: spec.instancetype,
    preference: spec.preference,
    network: spec.network,
    disks: spec.disks,
    metadata: metadataJson(machine, ordinal),
    metadataSecret: spec.metadata?.secretRef?.name,
    readinessProbe: spec.readinessProbe,
    livenessProbe: spec.livenessProbe,
    terminationGracePeriodSeconds: spec.terminationGracePeriodSeconds,
    evictionStrategy: spec.evictionStrategy,
    logSerialConsole: spec.logSerialConsole,
    template: spec.template,
    restart: restartToken(machine),
  };
  return createHash('sha256').update(canonicalJson(projection)).digest('hex').slice(0, 16);
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
