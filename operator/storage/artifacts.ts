import type { Digest } from '../oci/types.ts';
import { artifactFolder, artifactKey, digestOfFolder, inNamespace } from './layout.ts';
import type { ObjectInfo, ObjectStore } from './store.ts';

interface Deadline {
  readonly signal: AbortSignal;
}

/** What lies in one artifact's folder. */
export interface StoredArtifact {
  readonly digest: Digest;
  /** `build.json` is there. Without it this is what an interrupted build, or removal, left. */
  readonly complete: boolean;
  /** Bytes of all its objects. */
  readonly size: number;
  /** When its youngest object was stored; undefined if the store does not tell for every object. */
  readonly modified: Date | undefined;
}

/** Every artifact of an image, complete or not, by digest. Memory grows with artifacts, not with objects' sizes. */
export async function listArtifacts(
  store: Pick<ObjectStore, 'list'>,
  image: { readonly namespace: string; readonly image: string },
  options: Deadline,
): Promise<readonly StoredArtifact[]> {
  const prefix = imagePrefix(image.namespace, image.image);
  const objects: ObjectInfo[] = [];
  for await (const info of store.list(prefix, options)) objects.push(info);
  return artifactsOf(objects, prefix);
}

/** Gathers a listing's objects into artifacts. Objects outside any artifact's folder are not counted. */
export function artifactsOf(objects: readonly ObjectInfo[], prefix: string): readonly StoredArtifact[] {
  const byDigest = Map.groupBy(objects, ({ key }) =>
    digestOfFolder(key.slice(prefix.length).split('/')[0] ?? ''),
  );
  return [...byDigest].flatMap(([digest, files]) => {
    if (digest === undefined) return [];
    const times = files.map(({ modified }) => modified?.getTime() ?? Number.NaN);
    const newest = Math.max(...times);
    return {
      digest,
      complete: files.some(({ key }) => key === `${prefix}${artifactFolder(digest)}/build.json`),
      size: files.reduce((sum, info) => sum + info.size, 0),
      modified: Number.isNaN(newest) ? undefined : new Date(newest),
    };
  });
}

/**
 * Removes an artifact. `build.json` goes first and alone: whoever looks while the rest is being
 * removed, or after the removal was interrupted, sees no artifact rather than a broken one.
 */
export async function removeArtifact(
  store: Pick<ObjectStore, 'list' | 'delete'>,
  artifact: { readonly namespace: string; readonly image: string; readonly digest: Digest },
  options: Deadline,
): Promise<void> {
  const { namespace, image, digest } = artifact;
  await store.delete([inNamespace(namespace, artifactKey(image, digest, 'build.json'))], options);
  await removePrefix(store, `${imagePrefix(namespace, image)}${artifactFolder(digest)}/`, options);
}

/** Removes everything of an image: all records first, then all else. */
export async function removeImage(
  store: Pick<ObjectStore, 'list' | 'delete'>,
  image: { readonly namespace: string; readonly image: string },
  options: Deadline,
): Promise<void> {
  const prefix = imagePrefix(image.namespace, image.image);
  await removePrefix(store, prefix, options, (key) => key.endsWith('/build.json'));
  await removePrefix(store, prefix, options);
}

/** Entries of a cache that are held in memory at once; what is beyond comes up when some of these are gone. */
const CACHE_ENTRIES = 200_000;

/** What lies in a namespace's cache of members and results. */
export async function listNamespaceCache(
  store: Pick<ObjectStore, 'list'>,
  namespace: string,
  options: Deadline,
): Promise<readonly ObjectInfo[]> {
  const entries: ObjectInfo[] = [];
  for await (const info of store.list(inNamespace(namespace, '_cache/'), options)) {
    entries.push(info);
    if (entries.length >= CACHE_ENTRIES) break;
  }
  return entries;
}

/** Removes a namespace's cache of members and results. Builds under way only lose time by it. */
export async function removeNamespaceCache(
  store: Pick<ObjectStore, 'list' | 'delete'>,
  namespace: string,
  options: Deadline,
): Promise<void> {
  await removePrefix(store, inNamespace(namespace, '_cache/'), options);
}

/** What one round of listing and deleting holds in memory. */
const BATCH = 1000;

async function removePrefix(
  store: Pick<ObjectStore, 'list' | 'delete'>,
  prefix: string,
  options: Deadline,
  wanted: (key: string) => boolean = () => true,
): Promise<void> {
  let batch: string[] = [];
  for await (const { key } of store.list(prefix, options)) {
    if (!wanted(key)) continue;
    batch.push(key);
    if (batch.length < BATCH) continue;
    await store.delete(batch, options);
    batch = [];
  }
  if (batch.length > 0) await store.delete(batch, options);
}

function imagePrefix(namespace: string, image: string): string {
  return inNamespace(namespace, `${image}/`);
}
