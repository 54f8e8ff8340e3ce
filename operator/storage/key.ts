import { StorageError } from './store.ts';

/** S3 allows 1,024 bytes ("Creating object key names"); every character of ours is one byte. */
const MAX_KEY_LENGTH = 1024;
/** A file name is at most 255 bytes on the file systems in use; the folder store adds up to 15 of its own. */
const MAX_SEGMENT_LENGTH = 240;
/**
 * Letters, digits, `.`, `_`, `-`, and never a leading dot: no `.`, `..` or hidden file can be named,
 * no character needs escaping in a URL, an XML document or a file name, and upper and lower case
 * spellings of an escape cannot name one object twice.
 */
const SEGMENT = /^[A-Za-z0-9_][A-Za-z0-9._-]*$/;

/** Why `key` cannot name an object, or undefined if it can. */
export function keyProblem(key: string): string | undefined {
  if (key.length === 0) return 'it is empty';
  if (key.length > MAX_KEY_LENGTH) return `it is longer than ${MAX_KEY_LENGTH} bytes`;
  for (const segment of key.split('/')) {
    if (segment.length === 0) return 'it has an empty segment';
    if (segment.length > MAX_SEGMENT_LENGTH) return `a segment is longer than ${MAX_SEGMENT_LENGTH} bytes`;
    if (!SEGMENT.test(segment))
      return 'a segment is not of letters, digits, ".", "_" and "-", or begins with "." or "-"';
  }
  return undefined;
}

/** Returns `key`. Throws {@link StorageError} `InvalidKey` if it cannot name an object. */
export function checkedKey(key: string): string {
  const problem = keyProblem(key);
  if (problem !== undefined) throw new StorageError('InvalidKey', `object key ${quoted(key)}: ${problem}`);
  return key;
}

/** A prefix to list: empty, or a key with or without a final slash. Throws `InvalidKey`. */
export function checkedPrefix(prefix: string): string {
  const problem = prefix === '' ? undefined : keyProblem(prefix.endsWith('/') ? prefix.slice(0, -1) : prefix);
  if (problem !== undefined)
    throw new StorageError('InvalidKey', `object prefix ${quoted(prefix)}: ${problem}`);
  return prefix;
}

/** `text` for a message: cut to a readable length, with control characters escaped. */
function quoted(text: string): string {
  return JSON.stringify(text.length > 120 ? `${text.slice(0, 120)}…` : text);
}
