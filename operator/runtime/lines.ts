import { ApiError } from './api-error.ts';

const NEWLINE = 0x0a;

/**
 * Splits a stream of bytes into lines without their newline; empty ones are left out.
 * A line longer than `limit` bytes is an {@link ApiError} `InvalidAnswer`: a watch event holds
 * one object, and etcd keeps none above a few MiB.
 */
export async function* lines(chunks: AsyncIterable<Uint8Array>, limit: number): AsyncGenerator<string> {
  let held: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      held.push(chunk.subarray(start, end));
      size += end - start;
      if (size > limit) throw tooLong(limit);
      if (size > 0) yield Buffer.concat(held, size).toString('utf8');
      held = [];
      size = 0;
      start = end + 1;
    }
    if (start < chunk.length) {
      held.push(chunk.subarray(start));
      size += chunk.length - start;
      if (size > limit) throw tooLong(limit);
    }
  }
  // What follows the last newline is the beginning of an event whose rest never came.
}

function tooLong(limit: number): ApiError {
  return new ApiError('InvalidAnswer', `a watch event is longer than ${limit} bytes`);
}
