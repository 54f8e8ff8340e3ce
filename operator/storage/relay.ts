import { addAbortSignal, PassThrough, type Readable } from 'node:stream';
import type { ObjectInfo } from './store.ts';
import { VerifiedStream } from './verified-stream.ts';

/**
 * The body of an object as its reader gets it: checked against the object's SHA-256 where that is
 * known and the whole object is read, ended by `signal`, with errors of the connection given a code
 * by `failure`. Destroying it ends the transfer.
 */
export function relay(
  body: Readable,
  info: ObjectInfo,
  options: {
    readonly signal: AbortSignal;
    readonly whole: boolean;
    readonly failure: (error: unknown) => Error;
  },
): Readable {
  const { signal, whole, failure } = options;
  const { key, size, sha256 } = info;
  const outer =
    whole && sha256 !== undefined ? new VerifiedStream({ size, sha256 }, `object ${key}`) : new PassThrough();
  body.on('error', (error) => outer.destroy(failure(error)));
  outer.on('close', () => body.destroy());
  body.pipe(outer);
  return addAbortSignal(signal, outer);
}
