/**
 * JSON as Go's encoding/json writes it with an indent of four spaces, which is what the
 * programs in the machine and byte-wise comparisons with LinuxKit's own images expect. Keys
 * keep their order; those whose value is undefined are left out.
 */

export type JsonValue = string | number | bigint | boolean | null | readonly JsonValue[] | JsonObject;

export interface JsonObject {
  readonly [key: string]: JsonValue | undefined;
}

const INDENT = '    ';

/** No newline at the end. Numbers must be finite integers. */
export function goJson(value: JsonValue): string {
  return write(value, '\n');
}

function write(value: JsonValue, newline: string): string {
  if (value === null || typeof value === 'boolean') return String(value);
  if (typeof value === 'number' || typeof value === 'bigint') return value.toString();
  if (typeof value === 'string') return writeString(value);
  const inner = newline + INDENT;
  if (isList(value)) {
    const items = value.map((item) => inner + write(item, inner));
    return items.length === 0 ? '[]' : `[${items.join(',')}${newline}]`;
  }
  const members = Object.entries(value).flatMap(([key, member]) =>
    member === undefined ? [] : [`${inner}${writeString(key)}: ${write(member, inner)}`],
  );
  return members.length === 0 ? '{}' : `{${members.join(',')}${newline}}`;
}

function isList(value: readonly JsonValue[] | JsonObject): value is readonly JsonValue[] {
  return Array.isArray(value);
}

/** What Go escapes and JSON.stringify does not: HTML's own characters and JavaScript's line ends. */
const ALSO_ESCAPED = /[<>&\u2028\u2029]/g;
const SURROGATE_ESCAPE = /\\ud[89a-f][0-9a-f]{2}/g;

function writeString(text: string): string {
  return (
    JSON.stringify(text)
      // Both sides write a lone surrogate as an escape, but Go, which has UTF-8, never as itself.
      .replace(SURROGATE_ESCAPE, (escape, offset: number, all: string) =>
        isEscaped(all, offset) ? escape : '\\ufffd',
      )
      .replace(ALSO_ESCAPED, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
  );
}

/** Whether the backslash at the offset is itself the second of an escaped backslash. */
function isEscaped(text: string, offset: number): boolean {
  let backslashes = 0;
  while (text[offset - 1 - backslashes] === '\\') backslashes += 1;
  return backslashes % 2 === 1;
}

/** A list, unless it is empty: for fields that Go leaves out when they are (`omitempty`). */
export function unlessEmpty<T>(list: readonly T[] | undefined): readonly T[] | undefined {
  return list === undefined || list.length === 0 ? undefined : list;
}

/** A string, unless it is empty. */
export function unlessBlank(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}

/** A map with its keys in the order in which Go writes them, unless it is empty. */
export function sortedMap(map: Readonly<Record<string, string>> | undefined): JsonObject | undefined {
  if (map === undefined) return undefined;
  const entries = Object.entries(map).toSorted(([a], [b]) => compareBytes(a, b));
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

/** Order of strings by their UTF-8 bytes, as Go compares them. */
export function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
