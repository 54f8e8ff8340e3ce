import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { rootCertificates } from 'node:tls';
import { Agent, type Dispatcher } from 'undici';
import { messageOf } from '../../errors.ts';
import { checkedKey } from '../key.ts';
import { placeOf } from '../layout.ts';
import { relay } from '../relay.ts';
import {
  type ObjectInfo,
  type ObjectReader,
  type ObjectSource,
  type ObjectWriter,
  type ReadOptions,
  StorageError,
  type StorageErrorCode,
} from '../store.ts';
import { VerifiedStream } from '../verified-stream.ts';
import { EndpointClient, type EndpointOptions } from './endpoint-client.ts';
import {
  ANNOUNCE_PATH,
  type AnnounceAnswer,
  type AnnouncedObject,
  announceAnswer,
  LOOKUP_PATH,
  lookupAnswer,
} from './protocol.ts';

const CONNECT_TIMEOUT_MS = 5_000;
/** Silence on a connection, and a transfer that does not move. */
const STALL_MS = 60_000;
const ATTEMPTS = 4;
const FIRST_PAUSE_MS = 500;
/** What is read of an error document. */
const MAX_ERROR_BYTES = 8 * 1024;

type Permission = Extract<AnnounceAnswer['objects'][number], { state: 'upload' }>;
type Found = Extract<ReturnType<typeof lookupAnswer.parse>['objects'][number], { state: 'present' }>;

/**
 * The object storage that a build pod sees: no credentials, but an endpoint that gives out one URL an
 * object. Keys are relative to the pod's namespace. What may be written where is the endpoint's
 * decision; that the bytes are those announced is checked here and again by the store.
 */
export class PresignedStore implements ObjectReader, ObjectWriter, AsyncDisposable {
  readonly #endpoint: EndpointClient;
  readonly #agent: Agent;
  /** Files stored by this client, by the folder of their artifact: a record is announced together with them. */
  readonly #siblings = new Map<string, Map<string, AnnouncedObject>>();

  constructor(options: EndpointOptions) {
    this.#endpoint = new EndpointClient(options);
    this.#agent = new Agent({
      allowH2: false,
      connections: 8,
      headersTimeout: STALL_MS,
      bodyTimeout: STALL_MS,
      // Storage may have a public certificate or one of the same private authority.
      connect: { ca: [...rootCertificates, options.caBundle], timeout: CONNECT_TIMEOUT_MS },
    });
  }

  async head(key: string, options: { readonly signal: AbortSignal }): Promise<ObjectInfo | undefined> {
    const found = await this.#lookup(key, options.signal);
    return found === undefined ? undefined : infoOf(found);
  }

  async get(
    key: string,
    options: ReadOptions,
  ): Promise<{ readonly info: ObjectInfo; readonly body: Readable }> {
    const { range, signal } = options;
    for (let attempt = 1; ; attempt += 1) {
      const found = await this.#lookup(key, signal);
      if (found === undefined) throw new StorageError('ObjectNotFound', `object ${key} does not exist`);
      const info = infoOf(found);
      if (range !== undefined && (range.first > range.last || range.last >= info.size)) {
        throw new RangeError(`object ${key} has ${info.size} bytes, asked for ${range.first}-${range.last}`);
      }
      const headers = range === undefined ? {} : { range: `bytes=${range.first}-${range.last}` };
      const failure = (error: unknown) => unavailable(`reading object ${key}`, error);
      const answer = await this.#send(found.url, { method: 'GET', headers, signal }, `reading object ${key}`);
      if (answer instanceof StorageError) {
        await pauseBefore(attempt, answer, signal);
        continue;
      }
      if (answer.statusCode === (range === undefined ? 200 : 206)) {
        return { info, body: relay(answer.body, info, { signal, whole: range === undefined, failure }) };
      }
      await pauseBefore(attempt, await failureOf(answer, `reading object ${key}`), signal);
    }
  }

  async put(
    key: string,
    source: ObjectSource,
    options: { readonly signal: AbortSignal },
  ): Promise<'created' | 'exists'> {
    const { signal } = options;
    const object = { key: checkedKey(key), size: source.size, sha256: source.sha256 };
    for (let attempt = 1; ; attempt += 1) {
      const permission = await this.#announce(object, signal);
      if (permission === undefined) {
        this.#remember(object);
        return 'exists';
      }
      const failed = await this.#upload(permission, source, signal);
      if (failed === undefined) {
        this.#remember(object);
        return 'created';
      }
      // Taken: another writer was quicker, or an attempt of ours arrived without its answer reaching
      // us. Denied: the URL was too old. Announcing again tells which.
      const again = failed.code === 'ObjectConflict' || failed.code === 'StorageDenied';
      await pauseBefore(attempt, again ? unavailable(`writing object ${key}`, failed) : failed, signal);
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.#endpoint.close(), this.#agent.destroy()]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #lookup(key: string, signal: AbortSignal): Promise<Found | undefined> {
    const answer = await this.#endpoint.post(LOOKUP_PATH, { keys: [checkedKey(key)] }, lookupAnswer, signal);
    const [object] = answer.objects;
    if (object?.key !== key)
      throw new StorageError('StorageUnavailable', `artifact endpoint: no answer about ${key}`);
    return object.state === 'present' ? object : undefined;
  }

  /** Undefined when the bytes are stored already. */
  async #announce(object: AnnouncedObject, signal: AbortSignal): Promise<Permission | undefined> {
    const place = placeOf(object.key);
    const record = place?.kind === 'artifact' && place.file === 'build.json';
    const siblings = record ? [...(this.#siblings.get(folderOf(object.key))?.values() ?? [])] : [];
    const objects = [...siblings, object];
    const answer = await this.#endpoint.post(ANNOUNCE_PATH, { objects }, announceAnswer, signal);
    const own = answer.objects.find(({ key }) => key === object.key);
    if (own === undefined)
      throw new StorageError('StorageUnavailable', `artifact endpoint: no answer about ${object.key}`);
    return own.state === 'present' ? undefined : own;
  }

  #remember(object: AnnouncedObject): void {
    if (placeOf(object.key)?.kind !== 'artifact' || object.key.endsWith('/build.json')) return;
    const folder = folderOf(object.key);
    const siblings = this.#siblings.get(folder) ?? new Map<string, AnnouncedObject>();
    siblings.set(object.key, object);
    this.#siblings.set(folder, siblings);
  }

  /** Transfers once. An error of the source itself is thrown, one of the transfer is returned. */
  async #upload(
    permission: Permission,
    source: ObjectSource,
    signal: AbortSignal,
  ): Promise<StorageError | undefined> {
    const what = `writing object ${permission.key}`;
    const failed = new AbortController();
    const input = source.open();
    const body = new VerifiedStream(source, `object ${permission.key}`);
    input.on('error', (error) => failed.abort(error));
    body.on('error', (error) => failed.abort(error));
    input.pipe(body);
    const stalled = new AbortController();
    const watch = watchProgress(body, () => stalled.abort(new Error(`no progress for ${STALL_MS / 1000} s`)));
    try {
      const all = AbortSignal.any([signal, failed.signal, stalled.signal]);
      const answer = await this.#send(
        permission.url,
        { method: 'PUT', headers: permission.headers, body, signal: all },
        what,
      );
      if (failed.signal.aborted) throw failed.signal.reason;
      signal.throwIfAborted();
      if (answer instanceof StorageError) return answer;
      if (answer.statusCode >= 200 && answer.statusCode < 300) {
        await answer.body.dump();
        return undefined;
      }
      return await failureOf(answer, what);
    } finally {
      watch[Symbol.dispose]();
      input.destroy();
      body.destroy();
    }
  }

  async #send(
    url: string,
    options: {
      method: 'GET' | 'PUT';
      headers: Readonly<Record<string, string>>;
      body?: Readable;
      signal: AbortSignal;
    },
    what: string,
  ): Promise<Dispatcher.ResponseData | StorageError> {
    try {
      const { origin, pathname, search } = new URL(url);
      const path = pathname + search;
      return await this.#agent.request({ ...options, origin, path, headers: { ...options.headers } });
    } catch (error) {
      return unavailable(what, error);
    }
  }
}

/** Calls `stalled` when no byte has passed for a while. A slow transfer is none of its business. */
function watchProgress(body: VerifiedStream, stalled: () => void): Disposable {
  let before = -1;
  const timer = setInterval(() => {
    if (body.seen === before) stalled();
    before = body.seen;
  }, STALL_MS);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/** Waits before the next attempt; throws `error` if there is none, or if another would end the same. */
async function pauseBefore(attempt: number, error: StorageError, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  if (error.code !== 'StorageUnavailable' || attempt >= ATTEMPTS) throw error;
  await sleep(FIRST_PAUSE_MS * 2 ** (attempt - 1), undefined, { signal }).catch(() =>
    signal.throwIfAborted(),
  );
}

async function failureOf(answer: Dispatcher.ResponseData, what: string): Promise<StorageError> {
  const status = answer.statusCode;
  let document = '';
  for await (const chunk of answer.body as AsyncIterable<Buffer>) {
    document += chunk.toString('utf8');
    if (document.length > MAX_ERROR_BYTES) break;
  }
  const code = /<Code>([A-Za-z0-9]{1,64})<\/Code>/.exec(document)?.[1] ?? 'no reason given';
  return new StorageError(codeOf(status, code), `object storage, ${what}: status ${status}, ${code}`);
}

function codeOf(status: number, code: string): StorageErrorCode {
  if (code === 'BadDigest' || code === 'XAmzContentChecksumMismatch' || code === 'IncompleteBody')
    return 'ChecksumMismatch';
  if (status === 404) return 'ObjectNotFound';
  if (status === 409 || status === 412) return 'ObjectConflict';
  return status === 401 || status === 403 ? 'StorageDenied' : 'StorageUnavailable';
}

/** Never shows the URL: it is a permission. */
function unavailable(what: string, error: unknown): StorageError {
  if (error instanceof StorageError && error.code === 'StorageUnavailable') return error;
  return new StorageError('StorageUnavailable', `object storage, ${what}: ${messageOf(error)}`, {
    cause: error,
  });
}

function infoOf({ key, size, sha256 }: Found): ObjectInfo {
  return { key, size, ...(sha256 === undefined ? {} : { sha256 }) };
}

function folderOf(key: string): string {
  return key.slice(0, key.lastIndexOf('/'));
}
