import { messageOf } from '../errors.ts';
import type { Digest } from '../oci/types.ts';
import { listArtifacts, type StoredArtifact } from '../storage/artifacts.ts';
import { readBuildRecord } from '../storage/build-record.ts';
import { artifactKey, inNamespace } from '../storage/layout.ts';
import { type ObjectReader, type ObjectStore, StorageError } from '../storage/store.ts';
import { DistributionError } from './distribution-error.ts';
import { LeastRecentlyUsed } from './lru.ts';
import { type ServedImage, type ServedLayer, servedImageOf } from './served-image.ts';

/** After this long what is known of an image is looked up again, whatever is asked for. */
const FRESH_MS = 60_000;
/** Before this long something unknown is not looked up again: a new artifact shows after it at the latest. */
const UNKNOWN_MS = 1_000;
/** Reading one image's records has to end within this time. */
const LOAD_DEADLINE_MS = 20_000;
/** Images that are read at the same time; more are told to come again. */
const MAX_LOADS = 16;
/** Records that are read of one image, the youngest first. */
const MAX_ARTIFACTS = 200;
/** Bytes of manifests and configurations that are kept, about. */
const CACHE_BYTES = 32 * 1024 * 1024;
/** What an entry weighs besides its texts. */
const ENTRY_BYTES = 1024;

export interface ImageName {
  readonly namespace: string;
  readonly image: string;
}

/** Something with a digest, and where its bytes are. */
export type Found =
  | { readonly kind: 'bytes'; readonly mediaType: string; readonly bytes: Buffer }
  | { readonly kind: 'layer'; readonly layer: ServedLayer; readonly objectKey: string };

interface Log {
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

interface Entry {
  /** By the artifact's digest; undefined for one that cannot be served. */
  readonly images: ReadonlyMap<Digest, ServedImage | undefined>;
  readonly at: number;
}

/**
 * Which boot images there are, told from the store's listing and the records found there. Objects are
 * named by the layout alone, never by what a record says.
 *
 * An artifact never changes, so a record once read is kept as long as its artifact is listed.
 */
export class ImageIndex {
  readonly #store: ObjectReader & Pick<ObjectStore, 'list'>;
  readonly #now: () => number;
  readonly #log: Log;
  readonly #entries = new LeastRecentlyUsed<Entry>(CACHE_BYTES, weightOf);
  readonly #loads = new Map<string, Promise<Entry>>();

  /** `now`: milliseconds of a clock that never runs backwards. */
  constructor(
    store: ObjectReader & Pick<ObjectStore, 'list'>,
    options: { readonly now: () => number; readonly log: Log },
  ) {
    this.#store = store;
    this.#now = options.now;
    this.#log = options.log;
  }

  /** Throws {@link DistributionError} `TOOMANYREQUESTS`, or StorageError. */
  async manifest(name: ImageName, digest: Digest): Promise<Found | undefined> {
    return this.#find(name, (image) =>
      image.digest === digest
        ? { kind: 'bytes', mediaType: image.mediaType, bytes: image.manifest }
        : undefined,
    );
  }

  /** A configuration or a layer, or an artifact's SBOM, provenance or record. Throws as {@link manifest} does. */
  async blob(name: ImageName, digest: Digest): Promise<Found | undefined> {
    return this.#find(name, (image) => {
      if (image.configDigest === digest) {
        return { kind: 'bytes', mediaType: 'application/octet-stream', bytes: image.config };
      }
      const layer = [...image.layers, ...image.evidence].find((candidate) => candidate.digest === digest);
      if (layer === undefined) return undefined;
      const objectKey = inNamespace(name.namespace, artifactKey(name.image, image.artifact, layer.file));
      return { kind: 'layer', layer, objectKey };
    });
  }

  /** Makes the next question look at the store again: an object that was listed turned out to be gone. */
  forget(name: ImageName): void {
    this.#entries.delete(idOf(name));
  }

  async #find(name: ImageName, look: (image: ServedImage) => Found | undefined): Promise<Found | undefined> {
    const known = this.#entries.get(idOf(name));
    const age = known === undefined ? Number.POSITIVE_INFINITY : this.#now() - known.at;
    const found = known === undefined || age > FRESH_MS ? undefined : firstOf(known, look);
    if (found !== undefined || age < UNKNOWN_MS) return found;
    return firstOf(await this.#load(name, known), look);
  }

  /** Requests that arrive together share one reading; none of them can abort it for the others. */
  #load(name: ImageName, known: Entry | undefined): Promise<Entry> {
    const id = idOf(name);
    const running = this.#loads.get(id);
    if (running !== undefined) return running;
    if (this.#loads.size >= MAX_LOADS)
      throw new DistributionError('TOOMANYREQUESTS', 'too many images are asked for at once');
    const load = this.#read(name, known).finally(() => this.#loads.delete(id));
    this.#loads.set(id, load);
    return load;
  }

  async #read(name: ImageName, known: Entry | undefined): Promise<Entry> {
    const at = this.#now();
    const options = { signal: AbortSignal.timeout(LOAD_DEADLINE_MS) };
    const artifacts = await listArtifacts(this.#store, name, options);
    const images = new Map<Digest, ServedImage | undefined>();
    const recent = known !== undefined && at - known.at <= FRESH_MS;
    for (const { digest } of youngest(artifacts.filter(({ complete }) => complete))) {
      const image = known?.images.get(digest);
      // What cannot be served is looked at again from time to time, not with every question.
      const settled = image !== undefined || (recent && known.images.has(digest));
      images.set(digest, settled ? image : await this.#readImage(name, digest, options));
    }
    const entry = { images, at };
    this.#entries.set(idOf(name), entry);
    return entry;
  }

  async #readImage(
    name: ImageName,
    digest: Digest,
    options: { readonly signal: AbortSignal },
  ): Promise<ServedImage | undefined> {
    const skip = (problem: string): undefined => {
      this.#log.warn('boot registry: an artifact is not served', { ...name, artifact: digest, problem });
      return undefined;
    };
    try {
      const stored = await readBuildRecord(this.#store, { ...name, digest }, options);
      if (stored === undefined) return undefined;
      const made = servedImageOf(stored.record, stored.file);
      if ('problem' in made) return skip(made.problem);
      for (const { file, frame, objectSha256 } of made.image.layers) {
        const key = inNamespace(name.namespace, artifactKey(name.image, digest, file));
        const stored = await this.#store.head(key, options);
        if (stored === undefined) return skip(`${file} is missing`);
        if (stored.size !== frame.objectSize)
          return skip(`${file} has ${stored.size} bytes, not those of its record`);
        if ((stored.sha256 ?? objectSha256) !== objectSha256)
          return skip(`${file} is not what its record says`);
      }
      return made.image;
    } catch (error) {
      if (error instanceof StorageError && error.code === 'InvalidRecord') return skip(messageOf(error));
      throw error;
    }
  }
}

function firstOf(entry: Entry, look: (image: ServedImage) => Found | undefined): Found | undefined {
  for (const image of entry.images.values()) {
    const found = image === undefined ? undefined : look(image);
    if (found !== undefined) return found;
  }
  return undefined;
}

function youngest(artifacts: readonly StoredArtifact[]): readonly StoredArtifact[] {
  const time = ({ modified }: StoredArtifact) => modified?.getTime() ?? 0;
  return artifacts.toSorted((left, right) => time(right) - time(left)).slice(0, MAX_ARTIFACTS);
}

function weightOf(entry: Entry): number {
  return [...entry.images.values()].reduce(
    (sum, image) => sum + (image?.manifest.length ?? 0) + (image?.config.length ?? 0) + ENTRY_BYTES,
    ENTRY_BYTES,
  );
}

function idOf(name: ImageName): string {
  return `${name.namespace}/${name.image}`;
}
