import { artifactKey, type CacheSharing, cacheKey, inNamespace, type Place, placeOf } from '../layout.ts';
import type { Presigner } from '../s3/presign.ts';
import type { ObjectStore } from '../store.ts';
import { checkComplete, checkSize, decide, permittedPlace } from './authorize.ts';
import { Budget, REQUEST_RATE, UPLOAD_RATE } from './budget.ts';
import { EndpointError } from './endpoint-error.ts';
import type { BuildPod } from './identity.ts';
import type {
  AnnounceAnswer,
  AnnouncedObject,
  AnnounceRequest,
  LookupAnswer,
  LookupRequest,
} from './protocol.ts';

interface Deadline {
  readonly signal: AbortSignal;
}

/** Objects that are looked up in storage at the same time, for one request. */
const PARALLEL = 8;

/** What the endpoint does for a pod that has been identified. Everything happens below the pod's namespace, but for members that the cluster shares. */
export class ArtifactService {
  readonly #store: Pick<ObjectStore, 'head' | 'delete'>;
  readonly #presigner: Presigner;
  readonly #nowSeconds: () => number;
  readonly #sharing: CacheSharing;
  readonly #requests = new Budget(REQUEST_RATE);
  readonly #uploads = new Budget(UPLOAD_RATE);

  constructor(options: {
    readonly store: Pick<ObjectStore, 'head' | 'delete'>;
    readonly presigner: Presigner;
    /** A clock that never runs backwards, in seconds. */
    readonly nowSeconds: () => number;
    /** Default `Namespace`. */
    readonly cacheSharing?: CacheSharing;
  }) {
    this.#store = options.store;
    this.#presigner = options.presigner;
    this.#nowSeconds = options.nowSeconds;
    this.#sharing = options.cacheSharing ?? 'Namespace';
  }

  /** Decides about all objects before it changes anything. Throws {@link EndpointError} or StorageError. */
  async announce(pod: BuildPod, request: AnnounceRequest, options: Deadline): Promise<AnnounceAnswer> {
    this.#charge(this.#requests, pod, 1, 'requests');
    const placed = request.objects.map((object) => ({ object, place: permittedPlace(pod, object.key) }));
    if (new Set(request.objects.map(({ key }) => key)).size < placed.length) {
      throw new EndpointError('Invalid', 'a key is announced twice');
    }
    for (const { object, place } of placed) checkSize(place, object);

    const stored = await inParallel(placed, ({ object }) =>
      this.#store.head(this.#full(pod, object.key), options),
    );
    const sealed = await this.#sealed(pod, placed, options);
    const decided = placed.map(({ object, place }, index) => ({
      object,
      place,
      verdict: decide({ object, stored: stored[index], sealed: isOf(sealed, place) }),
    }));
    checkComplete(
      decided.map(({ object, place, verdict }) => ({
        key: object.key,
        place,
        present: verdict === 'present',
      })),
    );

    const uploads = decided.filter(({ verdict }) => verdict !== 'present');
    this.#charge(
      this.#uploads,
      pod,
      uploads.reduce((sum, { object }) => sum + object.size, 0),
      'upload',
    );
    const replaced = decided.filter(({ verdict }) => verdict === 'replace');
    if (replaced.length > 0)
      await this.#store.delete(
        replaced.map(({ object }) => this.#full(pod, object.key)),
        options,
      );
    const objects = await Promise.all(
      decided.map(async ({ object, verdict }): Promise<AnnounceAnswer['objects'][number]> => {
        if (verdict === 'present') return { state: 'present', key: object.key };
        const { url, headers } = await this.#presigner.upload(this.#full(pod, object.key), object);
        return { state: 'upload', key: object.key, method: 'PUT', url, headers: { ...headers } };
      }),
    );
    return { objects };
  }

  async lookup(pod: BuildPod, request: LookupRequest, options: Deadline): Promise<LookupAnswer> {
    this.#charge(this.#requests, pod, 1, 'requests');
    for (const key of request.keys) permittedPlace(pod, key);
    const objects = await inParallel(request.keys, async (key): Promise<LookupAnswer['objects'][number]> => {
      const info = await this.#store.head(this.#full(pod, key), options);
      if (info === undefined) return { state: 'absent', key };
      const { size, sha256 } = info;
      const url = await this.#presigner.download(this.#full(pod, key));
      return { state: 'present', key, size, url, ...(sha256 === undefined ? {} : { sha256 }) };
    });
    return { objects };
  }

  /** Which of the artifacts that are named have their record. Asked last: it may arrive while we look at the files. */
  async #sealed(
    pod: BuildPod,
    placed: readonly { readonly object: AnnouncedObject; readonly place: Place }[],
    options: Deadline,
  ): Promise<ReadonlySet<string>> {
    const digests = new Set(placed.flatMap(({ place }) => (place.kind === 'artifact' ? [place.digest] : [])));
    const records = await inParallel([...digests], async (digest) => {
      const record = await this.#store.head(
        this.#full(pod, artifactKey(pod.image, digest, 'build.json')),
        options,
      );
      return record === undefined ? [] : [digest];
    });
    return new Set(records.flat());
  }

  /** Of a key that the pod may name. */
  #full(pod: BuildPod, key: string): string {
    return placeOf(key)?.kind === 'artifact'
      ? inNamespace(pod.namespace, key)
      : cacheKey(this.#sharing, pod, key);
  }

  #charge(budget: Budget, pod: BuildPod, amount: number, what: string): void {
    const retryAfter = budget.take(pod.namespace, amount, this.#nowSeconds());
    if (retryAfter === 0) return;
    throw new EndpointError(
      'Throttled',
      `namespace ${pod.namespace} has used up its share of ${what} for ${retryAfter} s`,
      {
        retryAfter,
      },
    );
  }
}

function isOf(sealed: ReadonlySet<string>, place: Place): boolean {
  return place.kind === 'artifact' && sealed.has(place.digest);
}

async function inParallel<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let start = 0; start < items.length; start += PARALLEL) {
    results.push(...(await Promise.all(items.slice(start, start + PARALLEL).map(work))));
  }
  return results;
}
