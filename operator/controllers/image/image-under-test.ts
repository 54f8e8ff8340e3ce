import { type LinuxKitImage, parseImage } from '../../api/image.ts';
import type { ImageObject } from './objects.ts';

/** A minute in 2026, and milliseconds of it. */
export const NOW = Date.UTC(2026, 0, 1, 12);
export const UID = '0f0e0d0c-0000-4000-8000-000000000001';
export const CONFIG = { kernel: { image: 'example/kernel:1', cmdline: 'quiet' }, init: ['example/init:1'] };

/** An image as the API server would give it, with what a test wants different. */
export function imageWith(
  change: {
    readonly spec?: Readonly<Record<string, unknown>>;
    readonly status?: Readonly<Record<string, unknown>>;
    readonly metadata?: Readonly<Record<string, unknown>>;
  } = {},
): LinuxKitImage {
  return parseImage(imageObject(change));
}

export function imageObject(change: Parameters<typeof imageWith>[0] = {}): ImageObject {
  return {
    apiVersion: 'linuxkit.dev/v1alpha1',
    kind: 'LinuxKitImage',
    metadata: {
      name: 'web',
      namespace: 'tenant',
      uid: UID,
      generation: 1,
      resourceVersion: '1',
      ...change.metadata,
    },
    spec: { config: CONFIG, ...change.spec },
    ...(change.status === undefined ? {} : { status: change.status }),
  } as unknown as ImageObject;
}
