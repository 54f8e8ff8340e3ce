import { OciError } from './errors.ts';
import { type Digest, isDigest } from './types.ts';

/** Reading JSON documents that a registry served: each function takes a name for messages, and throws `InvalidManifest`. */

export type JsonObject = Readonly<Record<string, unknown>>;

/** The document as an object. The bytes must be UTF-8. */
export function parseObject(bytes: Uint8Array, name: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw new OciError('InvalidManifest', `${name}: not JSON; is there a registry at this address?`, {
      cause: error,
    });
  }
  if (!isObject(value)) throw invalid(name, 'not a JSON object');
  return value;
}

export function digestAt(value: unknown, where: string, name: string): Digest {
  if (typeof value === 'string' && isDigest(value)) return value;
  throw invalid(name, `"${where}" has no digest of the form sha256:<64 lower-case hex digits>`);
}

/** An object of strings, or undefined where there is none. */
export function strings(
  value: unknown,
  where: string,
  name: string,
): Readonly<Record<string, string>> | undefined {
  if (value === undefined || value === null) return undefined;
  if (!isObject(value) || !Object.values(value).every((item) => typeof item === 'string')) {
    throw invalid(name, `"${where}" is not an object of strings`);
  }
  return value as Readonly<Record<string, string>>;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isArray(value: unknown): value is readonly unknown[] {
  return Array.isArray(value);
}

export function invalid(name: string, why: string): OciError {
  return new OciError('InvalidManifest', `${name}: ${why}`);
}
