import type { ClusterAccess } from './access.ts';
import { ApiError, isNotFound } from './api-error.ts';
import type {
  ApplyOptions,
  CallOptions,
  DeleteOptions,
  ListOptions,
  ListPage,
  PatchOptions,
  PatchType,
  TokenReviewStatus,
  WatchEvent,
  WatchOptions,
} from './api-options.ts';
import { type KubeObject, keyText, type ObjectKey, type Stored } from './objects.ts';
import { named, pathOf, selectors, told } from './resource-path.ts';
import { apiVersionOf, type MetadataOnly, type Resource } from './resources.ts';
import { type Call, Transport, type TransportOptions } from './transport.ts';
import { watchOnce } from './watch.ts';

const PATCH_CONTENT_TYPE = {
  merge: 'application/merge-patch+json',
  json: 'application/json-patch+json',
  strategic: 'application/strategic-merge-patch+json',
} as const satisfies Record<PatchType, string>;

/**
 * Typed calls to the Kubernetes API: plain JSON out and in, so that no field the client does not
 * know is lost on the way (the generated client's serialiser drops them).
 *
 * Every failure is an {@link ApiError}, or the reason with which the caller's signal was aborted.
 */
export class ApiClient {
  readonly #transport: Transport;

  constructor(access: ClusterAccess, options: TransportOptions = {}) {
    this.#transport = new Transport(access, options);
  }

  /** The API server's address and our credentials for it. */
  get access(): ClusterAccess {
    return this.#transport.access;
  }

  async get<T extends KubeObject>(
    type: Resource<T>,
    key: ObjectKey,
    options: CallOptions,
  ): Promise<Stored<T>> {
    return await this.#object<T>(
      type,
      { method: 'GET', path: pathOf(type, key), what: told('get', type, key) },
      options,
    );
  }

  /** As {@link get}, with `undefined` for an object that is not there. */
  async find<T extends KubeObject>(
    type: Resource<T>,
    key: ObjectKey,
    options: CallOptions,
  ): Promise<Stored<T> | undefined> {
    try {
      return await this.get(type, key, options);
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  /** The object's metadata alone. */
  async findMetadata(
    type: Resource<KubeObject>,
    key: ObjectKey,
    options: CallOptions,
  ): Promise<Stored<MetadataOnly> | undefined> {
    try {
      const call: Call = {
        method: 'GET',
        path: pathOf(type, key),
        accept: 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1',
        what: told('get', type, key),
      };
      return await this.#object<MetadataOnly>(type, call, options);
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  /** Everything selected, page by page. The resource version is that of the first page's snapshot. */
  async list<T extends KubeObject>(type: Resource<T>, options: ListOptions): Promise<ListPage<T>> {
    const items: Stored<T>[] = [];
    let resourceVersion = '';
    for await (const page of this.pages(type, options)) {
      items.push(...page.items);
      resourceVersion = page.resourceVersion;
    }
    return { items, resourceVersion };
  }

  async *pages<T extends KubeObject>(type: Resource<T>, options: ListOptions): AsyncGenerator<ListPage<T>> {
    let next: string | undefined;
    do {
      const answer = await this.#transport.json(
        {
          method: 'GET',
          path: pathOf(type, options.namespace === undefined ? {} : { namespace: options.namespace }),
          query: { ...selectors(options), limit: String(options.pageSize ?? 500), continue: next },
          ...(options.metadataOnly === true
            ? { accept: 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1' }
            : {}),
          what: told('list', type, {}),
        },
        options,
      );
      const { items: found, metadata } = answer as {
        items?: readonly Stored<T>[] | null;
        metadata?: { resourceVersion?: string; continue?: string };
      };
      // An empty list of metadata alone comes as null.
      const items = found === null ? [] : found;
      if (!Array.isArray(items) || typeof metadata?.resourceVersion !== 'string') {
        throw new ApiError('InvalidAnswer', `${told('list', type, {})}: the answer is not a list`);
      }
      yield {
        items: items.map((item: Stored<T>) => named(type, item)),
        resourceVersion: metadata.resourceVersion,
      };
      next = metadata.continue === '' ? undefined : metadata.continue;
    } while (next !== undefined);
  }

  async create<T extends KubeObject>(
    type: Resource<T>,
    object: T,
    options: CallOptions & { readonly fieldManager?: string },
  ): Promise<Stored<T>> {
    const { namespace, name } = object.metadata;
    return await this.#object<T>(
      type,
      {
        method: 'POST',
        path: pathOf(type, namespace === undefined ? {} : { namespace }),
        query: { fieldManager: options.fieldManager },
        body: object,
        what: told('create', type, namespace === undefined ? { name } : { namespace, name }),
      },
      options,
    );
  }

  /** Replaces an object. With `metadata.resourceVersion` set, only that very version: else `Conflict`. */
  async replace<T extends KubeObject>(
    type: Resource<T>,
    object: T,
    options: CallOptions & { readonly subresource?: string },
  ): Promise<Stored<T>> {
    const { namespace, name } = object.metadata;
    const key = namespace === undefined ? { name } : { namespace, name };
    return await this.#object<T>(
      type,
      {
        method: 'PUT',
        path: pathOf(type, key, options.subresource),
        body: object,
        what: told('replace', type, key),
      },
      options,
    );
  }

  /** Server-side apply: creates the object, or changes the fields that `object` names. */
  async apply<T extends KubeObject>(type: Resource<T>, object: T, options: ApplyOptions): Promise<Stored<T>> {
    return await this.#apply(type, object, undefined, options);
  }

  /** Server-side apply of `status`; the object must exist. */
  async applyStatus<T extends KubeObject>(
    type: Resource<T>,
    object: T,
    options: ApplyOptions,
  ): Promise<Stored<T>> {
    return await this.#apply(type, object, 'status', options);
  }

  async #apply<T extends KubeObject>(
    type: Resource<T>,
    object: T,
    subresource: string | undefined,
    options: ApplyOptions,
  ): Promise<Stored<T>> {
    const { namespace, name } = object.metadata;
    const key = namespace === undefined ? { name } : { namespace, name };
    return await this.#object<T>(
      type,
      {
        method: 'PATCH',
        path: pathOf(type, key, subresource),
        query: {
          fieldManager: options.fieldManager,
          force: String(options.force ?? true),
          ...(options.dryRun === true ? { dryRun: 'All' } : {}),
        },
        // JSON is YAML; the API server knows server-side apply by this content type alone.
        contentType: 'application/apply-patch+yaml',
        body: { ...object, apiVersion: apiVersionOf(type), kind: type.kind },
        what: told(subresource === undefined ? 'apply' : `apply ${subresource} of`, type, key),
      },
      options,
    );
  }

  async patch<T extends KubeObject>(
    type: Resource<T>,
    key: ObjectKey,
    patch: unknown,
    options: PatchOptions,
  ): Promise<Stored<T>> {
    return await this.#object<T>(
      type,
      {
        method: 'PATCH',
        path: pathOf(type, key, options.subresource),
        query: { fieldManager: options.fieldManager },
        contentType: PATCH_CONTENT_TYPE[options.type ?? 'merge'],
        body: patch,
        what: told('patch', type, key),
      },
      options,
    );
  }

  /** False when there was nothing to delete. The object may live on for its finalizers and its grace period. */
  async delete(type: Resource<KubeObject>, key: ObjectKey, options: DeleteOptions): Promise<boolean> {
    const { propagation, preconditions, gracePeriodSeconds } = options;
    try {
      await this.#transport.json(
        {
          method: 'DELETE',
          path: pathOf(type, key),
          body: {
            apiVersion: 'v1',
            kind: 'DeleteOptions',
            propagationPolicy: propagation,
            preconditions,
            gracePeriodSeconds,
          },
          what: told('delete', type, key),
        },
        options,
      );
      return true;
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  }

  /** Calls a subresource, `PUT …/virtualmachines/NAME/restart` for instance, and gives its answer as parsed JSON (`undefined` if empty). */
  async subresource(
    type: Resource<KubeObject>,
    key: ObjectKey,
    subresource: string,
    options: CallOptions & { readonly method: 'GET' | 'POST' | 'PUT'; readonly body?: unknown },
  ): Promise<unknown> {
    return await this.#transport.json(
      {
        method: options.method,
        path: pathOf(type, key, subresource),
        body: options.body,
        what: told(`${options.method} ${subresource} of`, type, key),
      },
      options,
    );
  }

  /** The end of a container's log: at most `tailLines` lines and `limitBytes` bytes. */
  async podLogs(
    key: ObjectKey & { readonly namespace: string },
    options: CallOptions & {
      readonly container?: string;
      readonly tailLines: number;
      readonly limitBytes: number;
      readonly previous?: boolean;
    },
  ): Promise<string> {
    const path = `api/v1/namespaces/${encodeURIComponent(key.namespace)}/pods/${encodeURIComponent(key.name)}/log`;
    return await this.#transport
      .text(
        {
          method: 'GET',
          path,
          // limitBytes counts from the first of those lines: asked for alone it would cut off the end.
          query: {
            container: options.container,
            tailLines: String(options.tailLines),
            previous: options.previous === true ? 'true' : undefined,
          },
          accept: 'text/plain, application/json',
          what: `read the log of pod ${keyText(key)}`,
          limit: 4 * 1024 * 1024,
        },
        options,
      )
      .then((text) => lastBytes(text, options.limitBytes));
  }

  /** Asks whose token this is (authentication.k8s.io/v1). The token itself is never in an error. */
  async createTokenReview(
    token: string,
    audiences: readonly string[],
    options: CallOptions,
  ): Promise<TokenReviewStatus> {
    const answer = await this.#transport.json(
      {
        method: 'POST',
        path: 'apis/authentication.k8s.io/v1/tokenreviews',
        body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token, audiences } },
        what: 'review a token',
      },
      options,
    );
    return (answer as { status?: TokenReviewStatus }).status ?? {};
  }

  /** The server's `gitVersion`; also the cheapest proof that it answers and knows us. */
  async serverVersion(options: CallOptions): Promise<string> {
    const answer = await this.#transport.json(
      { method: 'GET', path: 'version', what: 'read the server version' },
      options,
    );
    return String((answer as { gitVersion?: unknown }).gitVersion);
  }

  /**
   * One watch, until the server or the connection ends it. Bookmarks are asked for. The events
   * are as the server sent them; ERROR events are handed on.
   */
  watch<T extends KubeObject>(type: Resource<T>, options: WatchOptions): AsyncGenerator<WatchEvent<T>> {
    return watchOnce(this.#transport, type, options);
  }

  async #object<T extends KubeObject>(
    type: Resource<KubeObject>,
    call: Call,
    options: CallOptions,
  ): Promise<Stored<T>> {
    const answer = await this.#transport.json(call, options);
    const metadata = (answer as Partial<KubeObject> | undefined)?.metadata;
    if (typeof metadata?.name !== 'string' || typeof metadata.resourceVersion !== 'string') {
      throw new ApiError('InvalidAnswer', `${call.what}: the answer is not an object`);
    }
    return named(type, answer as Stored<T>);
  }
}

/** The last `limit` bytes as text, beginning at a whole character. */
function lastBytes(text: string, limit: number): string {
  const bytes = Buffer.from(text, 'utf8');
  if (bytes.length <= limit) return text;
  let start = bytes.length - limit;
  while (start < bytes.length && ((bytes[start] ?? 0) & 0xc0) === 0x80) start++;
  return bytes.subarray(start).toString('utf8');
}
