import type { JsonObject, JsonValue } from './go-json.ts';
import { resolvePlainScalar } from './yaml-scalars.ts';

/**
 * YAML in the layout of go-yaml (version 2): an indent of two spaces, lists not indented below
 * their key, empty lists and maps in flow style. Keys whose value is undefined are left out.
 * Strings are quoted where any of YAML 1.1, 1.2 and go-yaml would take them for something else.
 */
export function goYaml(value: JsonObject): string {
  return mapping(value, '').join('');
}

function mapping(value: JsonObject, indent: string): readonly string[] {
  return Object.entries(value).flatMap(([key, member]) =>
    member === undefined ? [] : [`${indent}${scalarText(key)}:`, ...node(member, indent)],
  );
}

/** What follows a key's colon. */
function node(value: JsonValue, indent: string): readonly string[] {
  if (isList(value) && value.length > 0) return ['\n', ...sequence(value, indent)];
  if (isFilledMap(value)) return ['\n', ...mapping(value, `${indent}  `)];
  return [` ${leaf(value, `${indent}  `)}\n`];
}

function sequence(items: readonly JsonValue[], indent: string): readonly string[] {
  return items.flatMap((item) => {
    if (!isFilledMap(item)) return [`${indent}- ${leaf(item, `${indent}  `)}\n`];
    const [first = '', ...rest] = mapping(item, `${indent}  `);
    return [`${indent}- ${first.trimStart()}`, ...rest];
  });
}

function leaf(value: JsonValue, indent: string): string {
  if (typeof value === 'string') return isBlock(value) ? block(value, indent) : scalarText(value);
  if (isList(value))
    return value.length === 0 ? '[]' : `[${value.map((item) => leaf(item, indent)).join(', ')}]`;
  return typeof value === 'object' && value !== null ? '{}' : String(value);
}

function isList(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}

function isFilledMap(value: JsonValue): value is JsonObject {
  return (
    typeof value === 'object' &&
    value !== null &&
    !isList(value) &&
    Object.values(value).some((member) => member !== undefined)
  );
}

/** Words that YAML 1.1 takes for booleans, and its numbers to the base of 60 and dates. */
const OLD_WORDS = /^(?:y|n|yes|no|on|off|true|false|null|~)$/i;
const OLD_NUMBERS = /^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$|^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}/;
/** Nothing that means something to YAML anywhere: so a subset of what could stand unquoted. */
const PLAIN =
  /^[A-Za-z0-9_/.+$(][A-Za-z0-9_/.+$()@=:,%~^*&!?;<>|-]*(?: [A-Za-z0-9_/.+$()@=,%~^&;<>|-][A-Za-z0-9_/.+$()@=:,%~^*&!?;<>|-]*)*$/;

function scalarText(text: string): string {
  const plain =
    PLAIN.test(text) &&
    !/:(?: |$)/.test(text) &&
    !OLD_WORDS.test(text) &&
    !OLD_NUMBERS.test(text) &&
    resolvePlainScalar(text) === text;
  return plain ? text : JSON.stringify(text);
}

/** Text of several lines that a literal block can hold as it is. */
function isBlock(text: string): boolean {
  return /^[^\s].*\n/.test(text) && !/[^\n\t\x20-\x7e\u00a0-\ud7ff]|[ \t]$/m.test(text);
}

function block(text: string, indent: string): string {
  const body = text.replace(/\n+$/, '');
  const trailing = text.length - body.length;
  const chomping = trailing === 0 ? '-' : trailing === 1 ? '' : '+';
  const lines = body.split('\n').map((line) => (line === '' ? '' : `${indent}${line}`));
  return `|${chomping}\n${lines.join('\n')}${'\n'.repeat(Math.max(trailing - 1, 0))}`;
}
