import { parseReference } from '../oci/reference.ts';
import type { ImageSource } from '../oci/source.ts';
import type { ResolvedImage } from '../oci/types.ts';
import type { ReportProgress } from './progress.ts';
import type { Architecture, ResolvedInput } from './record.ts';

/** The images of a build, by the location that names them. */
export interface ResolvedInputs {
  readonly inputs: readonly ResolvedInput[];
  readonly at: (location: string) => ResolvedImage;
}

/** References that are followed at the same time. */
const PARALLEL_LOOKUPS = 8;

/** Follows every reference to what it stands for now, each once. Throws `OciError` for the first that leads nowhere. */
export async function resolveInputs(
  locations: readonly { readonly location: string; readonly image: string }[],
  options: {
    readonly images: ImageSource;
    readonly architecture: Architecture;
    readonly signal: AbortSignal;
    readonly report: ReportProgress;
  },
): Promise<ResolvedInputs> {
  const { images, architecture, signal, report } = options;
  const platform = { os: 'linux', architecture };
  const texts = [...new Set(locations.map(({ image }) => image))];
  const resolved = new Map<string, ResolvedImage>();
  const pending = texts.map((text) => ({ text, reference: parseReference(text) }));
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  const worker = async (): Promise<void> => {
    for (let next = pending.shift(); next !== undefined; next = pending.shift()) {
      resolved.set(next.text, await images.resolve(next.reference, platform, either));
    }
  };
  try {
    await Promise.all(Array.from({ length: PARALLEL_LOOKUPS }, worker));
  } finally {
    // After a failure the other lookups are of no use to anybody.
    stop.abort();
  }
  const found = new Map(
    locations.flatMap(({ location, image }) => {
      const hit = resolved.get(image);
      return hit === undefined ? [] : [[location, hit] as const];
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
  return { inputs, at };
}
