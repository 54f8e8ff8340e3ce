import { text } from 'node:stream/consumers';
import { MAX_RECORD_BYTES } from '../storage/build-record.ts';
import { type ObjectReader, StorageError } from '../storage/store.ts';

/** A small object as text; undefined when it is not there or too large to be a record. */
export async function readObject(
  store: ObjectReader,
  key: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    const { info, body } = await store.get(key, { signal });
    if (info.size <= MAX_RECORD_BYTES) return await text(body);
    body.destroy();
    return undefined;
  } catch (error) {
    if (error instanceof StorageError && error.code === 'ObjectNotFound') return undefined;
    throw error;
  }
}
