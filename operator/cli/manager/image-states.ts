import type { Artifact } from '../../api/image.ts';
import type { ImageObject } from '../../controllers/image/objects.ts';
import type { Job } from '../../runtime/resources.ts';

/** In one word what an image is, for counting. */
export const IMAGE_STATES = [
  'ready',
  'building',
  'failed',
  'stalled',
  'suspended',
  'deleting',
  'pending',
] as const;
type ImageState = (typeof IMAGE_STATES)[number];

/** How many images are in each state; a state without images is 0. */
export function countImageStates(images: readonly ImageObject[]): Record<ImageState, number> {
  const counts = Object.fromEntries(IMAGE_STATES.map((state) => [state, 0])) as Record<ImageState, number>;
  for (const image of images) counts[stateOf(image)]++;
  return counts;
}

/**
 * Age of the build that was started first, in seconds; 0 without one. A build that waits for its turn is
 * not started, however long it waits; one whose Job the API server refuses is. `now` in milliseconds since the epoch.
 */
export function oldestBuildSeconds(
  images: readonly ImageObject[],
  jobs: readonly Job[],
  now: number,
): number {
  const atWork = jobs.filter(({ status }) => status?.conditions?.some(isEnd) !== true);
  const refused = images.filter(({ status }) => {
    const said = status?.conditions?.find(({ type }) => type === 'Reconciling')?.reason;
    return status?.build?.phase === 'Queued' && said !== 'BuildQueued';
  });
  const starts = [
    ...atWork.map(({ metadata }) => metadata.creationTimestamp),
    ...refused.map(({ status }) => status?.build?.startTime),
  ];
  const ages = starts.map((start) => now - Date.parse(start ?? ''));
  return Math.max(0, ...ages.filter(Number.isFinite)) / 1000;
}

interface Kept {
  readonly count: number;
  /** Of kernels and initrds, as stored. */
  readonly bytes: number;
}

/** What images keep in storage: the present artifact of each, and those of their histories. */
export function keptArtifacts(images: readonly ImageObject[]): Readonly<Record<'current' | 'history', Kept>> {
  const sum = (artifacts: readonly Artifact[]): Kept => ({
    count: artifacts.length,
    bytes: artifacts.reduce((bytes, { kernel, initrd }) => bytes + kernel.size + initrd.size, 0),
  });
  return {
    current: sum(images.flatMap(({ status }) => status?.artifact ?? [])),
    history: sum(images.flatMap(({ status }) => status?.history ?? [])),
  };
}

function isEnd({ type, status }: { readonly type: string; readonly status: string }): boolean {
  return (type === 'Complete' || type === 'Failed') && status === 'True';
}

function stateOf({ metadata, spec, status }: ImageObject): ImageState {
  const holds = (type: string): boolean =>
    status?.conditions?.some((condition) => condition.type === type && condition.status === 'True') ?? false;
  if (metadata.deletionTimestamp !== undefined) return 'deleting';
  if (holds('Stalled')) return 'stalled';
  if (status?.build !== undefined) return 'building';
  if (holds('Ready')) return 'ready';
  if (status?.lastFailure !== undefined) return 'failed';
  return spec?.suspend === true ? 'suspended' : 'pending';
}
