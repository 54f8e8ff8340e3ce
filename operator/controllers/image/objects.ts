import type { ImageSpec, ImageStatus } from '../../api/image.ts';
import { GROUP, IMAGE_KIND, IMAGE_PLURAL, MACHINE_KIND, MACHINE_PLURAL, VERSION } from '../../api/names.ts';
import type { KubeObject } from '../../runtime/objects.ts';
import { resource } from '../../runtime/resources.ts';

/** A LinuxKitImage as it comes from the API server, before `parseImage`. */
export interface ImageObject extends KubeObject {
  readonly spec?: ImageSpec;
  readonly status?: ImageStatus;
}

/** What the image controller, and the manager's counts, read of a LinuxKitMachine. */
export interface MachineObject extends KubeObject {
  readonly spec?: { readonly imageRef?: { readonly name?: string; readonly digest?: string } };
  readonly status?: {
    readonly currentDigest?: string;
    readonly targetDigest?: string;
    /** Those that it may go back to. */
    readonly revisions?: readonly { readonly digest?: string }[];
    readonly machines?: readonly { readonly bootedDigest?: string }[];
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

/** What is applied to an image's status subresource. */
export interface ImageStatusPatch extends KubeObject {
  readonly status: ImageStatus;
}

export const IMAGES = resource<ImageObject>({
  group: GROUP,
  version: VERSION,
  plural: IMAGE_PLURAL,
  kind: IMAGE_KIND,
});
export const MACHINES = resource<MachineObject>({
  group: GROUP,
  version: VERSION,
  plural: MACHINE_PLURAL,
  kind: MACHINE_KIND,
});

/** On build Jobs: the whole build hash. */
export const ANNOTATION_HASH = `${GROUP}/build-hash`;
/** On build Jobs: why, one of the API's build reasons. */
export const ANNOTATION_REASON = `${GROUP}/build-reason`;
/** On build Jobs: `status.build.startTime` of the attempt it was made for. Tells it from a Job of an attempt before. */
export const ANNOTATION_ATTEMPT = `${GROUP}/build-attempt`;
