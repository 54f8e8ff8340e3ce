import type { Artifact } from '../../api/image.ts';
import type { MachineStatus } from '../../api/machine.ts';
import type { ImageObject } from '../../controllers/image/objects.ts';
import { age, shortDigest } from './age.ts';
import type { MachineObject } from './objects.ts';
import { cell, type Paint, renderTable, type Tone } from './table.ts';

/** An artifact of an image, newest first. */
export interface ArtifactEntry {
  readonly current: boolean;
  readonly artifact: Artifact;
}

export function artifactsOf({ status }: ImageObject): readonly ArtifactEntry[] {
  const current = status?.artifact;
  return [
    ...(current === undefined ? [] : [{ current: true, artifact: current }]),
    ...(status?.history ?? []).map((artifact) => ({ current: false, artifact })),
  ];
}

/** What a revision of a machine is at present; `left`: going back from it was asked for. */
export type Standing = 'failed' | 'left' | 'running' | 'rolling out' | 'healthy' | 'kept';

export interface RevisionEntry {
  readonly number: number;
  readonly name: string;
  readonly digest: string;
  readonly created?: string;
  readonly cause?: string;
  readonly standing: Standing;
}

export function revisionsOf({ status }: MachineObject): readonly RevisionEntry[] {
  return (status?.revisions ?? []).map((revision) => ({
    ...revision,
    standing: standingOf(revision.name, status ?? {}),
  }));
}

function standingOf(name: string, status: MachineStatus): Standing {
  if (status.failedRevision?.name === name)
    return status.failedRevision.reason === 'RollbackRequested' ? 'left' : 'failed';
  if (status.targetRevision === name)
    return status.currentRevision === name || status.currentRevision === undefined
      ? 'running'
      : 'rolling out';
  if (status.currentRevision === name) return 'running';
  return status.healthyRevision === name ? 'healthy' : 'kept';
}

const TONES: Readonly<Record<Standing, Tone>> = {
  failed: 'bad',
  left: 'plain',
  running: 'good',
  'rolling out': 'busy',
  healthy: 'plain',
  kept: 'faint',
};

export function imageHistory(
  image: ImageObject,
  options: { readonly now: number; readonly paint: Paint },
): string {
  const rows = artifactsOf(image).map(({ current, artifact }) => [
    cell(artifact.digest),
    cell(current ? 'current' : 'kept', current ? 'good' : 'faint'),
    cell(age(artifact.created, options.now)),
    cell(artifact.reason),
    cell(artifact.buildHash?.slice(0, 10) ?? '-'),
  ]);
  const name = `image/${image.metadata.name}`;
  return rows.length === 0
    ? `${name} has no artifact yet.\n`
    : `${name}\n${renderTable(['DIGEST', 'STATE', 'BUILT', 'WHY', 'BUILD'], rows, options.paint)}`;
}

export function machineHistory(
  machine: MachineObject,
  options: { readonly now: number; readonly paint: Paint },
): string {
  const rows = revisionsOf(machine).map((revision) => [
    cell(String(revision.number), 'strong'),
    cell(revision.name),
    cell(revision.standing, TONES[revision.standing]),
    cell(shortDigest(revision.digest)),
    cell(age(revision.created, options.now)),
    cell(revision.cause ?? ''),
  ]);
  const name = `machine/${machine.metadata.name}`;
  return rows.length === 0
    ? `${name} has no revision yet.\n`
    : `${name}\n${renderTable(['REVISION', 'NAME', 'STATE', 'DIGEST', 'TAKEN', 'CHANGED'], rows, options.paint)}`;
}
