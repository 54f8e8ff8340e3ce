import { createHash } from 'node:crypto';
import { OciError } from '../errors.ts';
import { type Descriptor, sha256Digest } from '../types.ts';
import { ConnectionError, connectionError, type WireResponse } from './connection.ts';
import type { RegistryLimits } from './limits.ts';

export interface BlobStreamOptions {
  readonly descriptor: Descriptor;
  /** Asks for the blob from this byte on; the answer may also be the whole of it. */
  readonly open: (offset: number) => Promise<WireResponse>;
  readonly signal: AbortSignal;
  readonly limits: RegistryLimits;
  readonly now: () => number;
  /** The pause before another try after so many failures in a row, undefined to give up. */
  readonly pause: (failures: number) => number | undefined;
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  /** What is pulled from where, for messages. */
  readonly where: string;
}

/**
 * Streams a blob, counting and hashing. A broken connection is taken up again where it broke. Bytes
 * beyond the promised size are never handed out, and on a wrong size or digest the stream fails
 * before it ends.
 */
export async function* streamBlob(options: BlobStreamOptions): AsyncGenerator<Uint8Array, void, undefined> {
  const { descriptor, signal, limits, where } = options;
  const hash = createHash('sha256');
  let received = 0;
  let failures = 0;
  for (let resumes = 0; ; resumes++) {
    const start = received;
    try {
      for await (const chunk of streamFrom(start, options)) {
        received += chunk.length;
        if (received > descriptor.size) throw sizeMismatch(where, descriptor, `at least ${received}`);
        hash.update(chunk);
        yield chunk;
      }
      if (received < descriptor.size) throw sizeMismatch(where, descriptor, `${received}`);
      break;
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
      failures = received > start ? 1 : failures + 1;
      const pause = resumes < limits.maxBlobResumes ? options.pause(failures) : undefined;
      if (pause === undefined) {
        const message = `${where}: the connection broke ${resumes + 1} times, at last after ${received} of ${descriptor.size} bytes: ${error.message}`;
        throw new OciError('RegistryUnreachable', message, { cause: error });
      }
      await options.sleep(pause, signal);
    }
  }
  const actual = sha256Digest(hash.digest('hex'));
  if (actual !== descriptor.digest) {
    throw new OciError(
      'DigestMismatch',
      `${where}: it should be ${descriptor.digest}, but what came is ${actual}; the registry or a proxy on the way is at fault`,
    );
  }
}

/** What is left from `start` on, in one connection. Throws ConnectionError when that breaks. */
async function* streamFrom(
  start: number,
  options: BlobStreamOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { descriptor, open, signal, limits, where } = options;
  if (start > 0 && start === descriptor.size) return;
  const response = await open(start);
  const { body } = response;
  try {
    // A server may answer a request for a range with the whole (RFC 9110, section 14.2).
    let skip = response.status === 206 ? 0 : start;
    if (response.status === 206 && rangeStart(response.headers['content-range']) !== start) {
      throw new OciError('RegistryRefused', `${where}: asked for bytes from ${start} on, it sent others`);
    }
    const announced = Number(response.headers['content-length'] ?? Number.NaN);
    const expected = response.status === 206 ? descriptor.size - start : descriptor.size;
    if (!Number.isNaN(announced) && announced !== expected) {
      throw sizeMismatch(where, descriptor, `${announced + (response.status === 206 ? start : 0)}`);
    }
    const pace = new Pace(limits, where);
    const chunks = (body as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]();
    for (;;) {
      const asked = options.now();
      const next = await chunks.next();
      if (next.done === true) return;
      pace.waited(options.now() - asked, next.value.length);
      signal.throwIfAborted();
      const chunk = next.value.subarray(Math.min(skip, next.value.length));
      skip -= next.value.length - chunk.length;
      if (chunk.length > 0) yield chunk;
    }
  } catch (error) {
    throw connectionError(error, signal);
  } finally {
    // A body that is given up reports that as an error, to nobody.
    body.on('error', () => undefined);
    body.destroy();
  }
}

/** Notices a server that keeps a connection alive with a few bytes now and then. Time in which nobody asked does not count. */
class Pace {
  readonly #limits: RegistryLimits;
  readonly #where: string;
  #waiting = 0;
  #bytes = 0;

  constructor(limits: RegistryLimits, where: string) {
    this.#limits = limits;
    this.#where = where;
  }

  waited(milliseconds: number, bytes: number): void {
    this.#waiting += milliseconds;
    this.#bytes += bytes;
    if (this.#waiting < this.#limits.blobWindow) return;
    if (this.#bytes < this.#limits.minBlobBytesPerWindow) {
      throw new OciError(
        'RegistryUnreachable',
        `${this.#where}: too slow, ${this.#bytes} bytes in ${Math.round(this.#waiting / 1000)} s (minBlobBytesPerWindow is ${this.#limits.minBlobBytesPerWindow})`,
      );
    }
    this.#waiting = 0;
    this.#bytes = 0;
  }
}

function rangeStart(header: string | undefined): number | undefined {
  const start = /^bytes ([0-9]{1,16})-/.exec(header ?? '')?.[1];
  return start === undefined ? undefined : Number(start);
}

function sizeMismatch(where: string, { digest, size }: Descriptor, actual: string): OciError {
  return new OciError('SizeMismatch', `${where}: ${digest} should have ${size} bytes, but it has ${actual}`);
}
