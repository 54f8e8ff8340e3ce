import type { ImageObject } from '../../controllers/image/objects.ts';

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

/** Age of the running build that was started first, in seconds; 0 without one. `now` in milliseconds since the epoch. */
export function oldestBuildSeconds(images: readonly ImageObject[], now: number): number {
  const ages = images.map(({ status }) => now - Date.parse(status?.build?.startTime ?? ''));
  return Math.max(0, ...ages.filter(Number.isFinite)) / 1000;
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
