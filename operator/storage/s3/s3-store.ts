import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { checkedKey, checkedPrefix, keyProblem } from '../key.ts';
import { relay } from '../relay.ts';
import {
  type ObjectInfo,
  type ObjectSource,
  type ObjectStore,
  type ReadOptions,
  StorageError,
} from '../store.ts';
import { VerifiedStream } from '../verified-stream.ts';
import { base64OfHex, hexOfBase64 } from './checksum.ts';
import { storageErrorOf } from './errors.ts';

/** A request that moves no object has to be answered within this time, its retries included. */
const REQUEST_DEADLINE_MS = 30_000;
const UPLOAD_ATTEMPTS = 3;
const FIRST_PAUSE_MS = 250;
/** What one DeleteObjects may name. */
const DELETE_BATCH = 1000;

interface Deadline {
  readonly signal: AbortSignal;
}

/** Objects in a bucket of S3 or a compatible store that keeps SHA-256 checksums and honours If-None-Match. */
export class S3Store implements ObjectStore {
  readonly #client: S3Client;
  readonly #bucket: string;

  constructor(client: S3Client, bucket: string) {
    this.#client = client;
    this.#bucket = bucket;
  }

  async head(key: string, options: Deadline): Promise<ObjectInfo | undefined> {
    const command = new HeadObjectCommand({
      Bucket: this.#bucket,
      Key: checkedKey(key),
      ChecksumMode: 'ENABLED',
    });
    try {
      return infoOf(
        key,
        await this.#request(options, (abortSignal) => this.#client.send(command, { abortSignal })),
      );
    } catch (error) {
      options.signal.throwIfAborted();
      const mapped = storageErrorOf(error, `looking for object ${key}`);
      if (mapped.code === 'ObjectNotFound') return undefined;
      throw mapped;
    }
  }

  async get(
    key: string,
    options: ReadOptions,
  ): Promise<{ readonly info: ObjectInfo; readonly body: Readable }> {
    const { range, signal } = options;
    const command = new GetObjectCommand({
      Bucket: this.#bucket,
      Key: checkedKey(key),
      ...(range === undefined ? {} : { Range: `bytes=${range.first}-${range.last}` }),
    });
    askForChecksum(command);
    try {
      const answer = await this.#client.send(command, { abortSignal: signal });
      if (!(answer.Body instanceof Readable)) throw new TypeError('the answer has no body');
      const { Body: body } = answer;
      const failure = (error: unknown) => storageErrorOf(error, `reading object ${key}`);
      const whole = range === undefined;
      if (whole) {
        const info = infoOf(key, answer);
        return { info, body: relay(body, info, { signal, whole, failure }) };
      }
      const [first, last, size] = contentRangeOf(answer.ContentRange);
      if (first !== range.first || last !== range.last) {
        body.destroy();
        throw new TypeError(
          `asked for bytes ${range.first}-${range.last}, got ${answer.ContentRange ?? 'everything'}`,
        );
      }
      const info = { ...infoOf(key, answer), size };
      return { info, body: relay(body, info, { signal, whole, failure }) };
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof Error && error.name === 'InvalidRange') {
        throw new RangeError(`object ${key} has no bytes ${range?.first}-${range?.last}`, { cause: error });
      }
      throw storageErrorOf(error, `reading object ${key}`);
    }
  }

  async put(key: string, source: ObjectSource, options: Deadline): Promise<'created' | 'exists'> {
    checkedKey(key);
    if ((await this.#compare(key, source, options)) === 'exists') return 'exists';
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.#upload(key, source, options.signal);
        return 'created';
      } catch (error) {
        options.signal.throwIfAborted();
        if (error instanceof SourceFailure) throw error.cause;
        const mapped = storageErrorOf(error, `writing object ${key}`);
        // Another writer was quicker, or an earlier attempt arrived without its answer reaching us.
        if (mapped.code === 'ObjectConflict' && (await this.#compare(key, source, options)) === 'exists')
          return 'exists';
        if (mapped.code !== 'StorageUnavailable' || attempt === UPLOAD_ATTEMPTS) throw mapped;
        await sleep(FIRST_PAUSE_MS * 2 ** attempt, undefined, { signal: options.signal });
      }
    }
  }

  async *list(prefix: string, options: Deadline): AsyncIterable<ObjectInfo> {
    checkedPrefix(prefix);
    let token: string | undefined;
    do {
      const command = new ListObjectsV2Command({
        Bucket: this.#bucket,
        Prefix: prefix,
        ContinuationToken: token,
      });
      const page = await this.#mapped(options, `listing ${prefix || 'all objects'}`, (abortSignal) =>
        this.#client.send(command, { abortSignal }),
      );
      for (const { Key: key, Size: size, LastModified: modified } of page.Contents ?? []) {
        // Folder markers and whatever else is not ours.
        if (key === undefined || size === undefined || keyProblem(key) !== undefined) continue;
        yield { key, size, ...(modified === undefined ? {} : { modified }) };
      }
      token = page.IsTruncated === true ? page.NextContinuationToken : undefined;
    } while (token !== undefined);
  }

  async delete(keys: readonly string[], options: Deadline): Promise<void> {
    for (const key of keys) checkedKey(key);
    for (let start = 0; start < keys.length; start += DELETE_BATCH) {
      const batch = keys.slice(start, start + DELETE_BATCH);
      const command = new DeleteObjectsCommand({
        Bucket: this.#bucket,
        Delete: { Quiet: true, Objects: batch.map((Key) => ({ Key })) },
      });
      const what = `removing ${batch.length} objects from ${batch[0]} on`;
      const answer = await this.#mapped(options, what, (abortSignal) =>
        this.#client.send(command, { abortSignal }),
      );
      const failed = (answer.Errors ?? []).filter((error) => error.Code !== 'NoSuchKey');
      const [first] = failed;
      if (first !== undefined) {
        const code = first.Code === 'AccessDenied' ? 'StorageDenied' : 'StorageUnavailable';
        throw new StorageError(
          code,
          `object storage, ${what}: ${failed.length} failed, ${first.Key}: ${first.Code} ${first.Message}`,
        );
      }
    }
  }

  /** One transfer of the whole object. Nothing is stored unless it is exactly what `source` announces. */
  async #upload(key: string, source: ObjectSource, signal: AbortSignal): Promise<void> {
    const command = (body: Readable): PutObjectCommand =>
      new PutObjectCommand({
        Bucket: this.#bucket,
        Key: key,
        Body: body,
        ContentLength: source.size,
        ChecksumSHA256: base64OfHex(source.sha256),
        IfNoneMatch: '*',
      });
    // The SDK pipes the body into the request without looking at the body's errors: a source that
    // fails would leave the request waiting for its rest. So the body's end ends the request.
    const failed = new AbortController();
    const input = source.open();
    const body = new VerifiedStream(source, `object ${key}`);
    input.on('error', (error) => body.destroy(error));
    body.on('error', (error) => failed.abort(error));
    input.pipe(body);
    try {
      await this.#client.send(command(body), { abortSignal: AbortSignal.any([signal, failed.signal]) });
    } catch (error) {
      throw failed.signal.aborted ? new SourceFailure('', { cause: failed.signal.reason }) : error;
    } finally {
      input.destroy();
      body.destroy();
    }
  }

  async #compare(key: string, source: ObjectSource, options: Deadline): Promise<'absent' | 'exists'> {
    const present = await this.head(key, options);
    if (present === undefined) return 'absent';
    if (present.size === source.size && present.sha256 === source.sha256) return 'exists';
    const holds =
      present.sha256 === undefined ? `${present.size} bytes without a checksum` : `SHA-256 ${present.sha256}`;
    throw new StorageError(
      'ObjectConflict',
      `object ${key} exists with ${holds}, not SHA-256 ${source.sha256}`,
    );
  }

  async #mapped<T>(options: Deadline, what: string, send: (signal: AbortSignal) => Promise<T>): Promise<T> {
    try {
      return await this.#request(options, send);
    } catch (error) {
      options.signal.throwIfAborted();
      throw storageErrorOf(error, what);
    }
  }

  #request<T>(options: Deadline, send: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return send(AbortSignal.any([options.signal, AbortSignal.timeout(REQUEST_DEADLINE_MS)]));
  }
}

/** Carries an error of the source past the SDK's own: it is the caller's, and trying again is the caller's affair. */
class SourceFailure extends Error {}

function infoOf(
  key: string,
  answer: {
    readonly ContentLength?: number | undefined;
    readonly ChecksumSHA256?: string | undefined;
    readonly LastModified?: Date | undefined;
  },
): ObjectInfo {
  const sha256 = hexOfBase64(answer.ChecksumSHA256);
  if (answer.ContentLength === undefined) throw new TypeError('the answer has no Content-Length');
  return {
    key,
    size: answer.ContentLength,
    ...(sha256 === undefined ? {} : { sha256 }),
    ...(answer.LastModified === undefined ? {} : { modified: answer.LastModified }),
  };
}

/**
 * Asks for the stored SHA-256 by the header itself. Asked by the command's own member, the SDK checks
 * the body as well, a second time, and fails with an error that has no code.
 */
function askForChecksum(command: GetObjectCommand): void {
  command.middlewareStack.add(
    (next) => async (step) => {
      const request = step.request as { readonly headers: Record<string, string> };
      request.headers['x-amz-checksum-mode'] = 'ENABLED';
      return next(step);
    },
    { step: 'build', name: 'askForChecksum' },
  );
}

/** First byte, last byte and complete size (RFC 9110, section 14.4). */
function contentRangeOf(header: string | undefined): readonly [number, number, number] {
  const [, first, last, size] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(header ?? '') ?? [];
  return [Number(first), Number(last), Number(size)];
}
