import { type ImageLayout, type LayoutSource, resolveLayout } from '../oci/image-layout.ts';
import { parseReference } from '../oci/reference.ts';
import type { ImageSource } from '../oci/source.ts';
import type { Platform, ResolvedImage } from '../oci/types.ts';
import { inOrder, type Task } from './in-order.ts';
import type { ReportProgress } from './progress.ts';
import type { Architecture, ResolvedInput } from './record.ts';

/** Something in a configuration that names an image. */
export interface ImageLocation {
  readonly location: string;
  /** As written. */
  readonly image: string;
  /** When the image itself is wanted, for all platforms or for some, and not its files. */
  readonly layout?: { readonly platforms: readonly string[] | undefined };
}

/** The images of a build, by the location that names them. */
export interface ResolvedInputs {
  readonly inputs: readonly ResolvedInput[];
  /** Where the image itself is wanted, that is what the reference stands for: an index, or the one image. */
  readonly at: (location: string) => ResolvedImage;
  readonly layoutAt: (location: string) => ImageLayout | undefined;
}

/** References that are followed at the same time. */
const PARALLEL_LOOKUPS = 8;

/** Follows every reference to what it stands for now, each once. Throws `OciError` for the first in the file that leads nowhere. */
export async function resolveInputs(
  locations: readonly ImageLocation[],
  options: {
    readonly images: ImageSource & LayoutSource;
    readonly architecture: Architecture;
    readonly signal: AbortSignal;
    readonly report: ReportProgress;
  },
): Promise<ResolvedInputs> {
  const { images, architecture, signal, report } = options;
  const platform = { os: 'linux', architecture };
  const layouts = new Map<string, ImageLayout>();
  // The same text is followed once; a layout is for its own platforms.
  const distinct = new Map(locations.map((wanted) => [keyOf(wanted), wanted]));
  const lookups = Array.from(distinct.values(), (wanted): Task<ResolvedImage> => {
    const reference = parseReference(wanted.image);
    const { layout } = wanted;
    if (layout === undefined) return (stop) => images.resolve(reference, platform, stop);
    return async (stop) => {
      const found = await resolveLayout(reference, layout.platforms, images, stop);
      layouts.set(keyOf(wanted), found);
      return rootImage(found, platform);
    };
  });
  const answers = await inOrder(lookups, { parallel: PARALLEL_LOOKUPS, signal });
  const resolved = new Map(Array.from(distinct.keys(), (key, index) => [key, answers[index]]));
  const found = new Map(
    locations.flatMap((wanted) => {
      const hit = resolved.get(keyOf(wanted));
      return hit === undefined ? [] : [[wanted.location, hit] as const];
    }),
  );
  const at = (location: string): ResolvedImage => {
    const image = found.get(location);
    if (image === undefined) throw new Error(`${location} names no image`);
    return image;
  };
  const inputs = locations.map(({ location, image }) => ({
    location,
    reference: image,
    digest: at(location).digest,
  }));
  for (const input of inputs) report({ kind: 'resolved', ...input });
  return { inputs, at, layoutAt: (location) => layouts.get(location) };
}

function keyOf({ location, image, layout }: ImageLocation): string {
  return layout === undefined ? image : location;
}

/** What signatures and the record speak of when an image is taken as it is. Its files concern nobody. */
function rootImage({ reference, root }: ImageLayout, platform: Platform): ResolvedImage {
  return { reference, digest: root.digest, config: { ...platform, config: {}, diffIds: [] }, layers: [] };
}
