import { GROUP } from '../api/names.ts';

/**
 * `spec.template` is laid below what the machine itself says. Where both say something, it is not
 * decided silently: that is a conflict, and the field of the machine has to be used.
 */

export interface Merged {
  readonly value: unknown;
  /** Paths that both sides set to different values. */
  readonly conflicts: readonly string[];
}

/** Parts of an instance that nobody else may set, not even where we leave something out. */
const RESERVED = new Set(['domain.firmware.kernelBoot', 'domain.memory.guest', 'architecture']);

type JsonObject = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function nameOf(value: unknown): string | undefined {
  return isObject(value) && typeof value['name'] === 'string' ? value['name'] : undefined;
}

export function mergeTemplate(ours: unknown, theirs: unknown): Merged {
  const conflicts: string[] = [];
  return { value: merge(ours, theirs, '', conflicts), conflicts };
}

function merge(ours: unknown, theirs: unknown, path: string, conflicts: string[]): unknown {
  if (theirs === undefined) return ours;
  if (RESERVED.has(path)) {
    conflicts.push(path);
    return ours;
  }
  if (ours === undefined) return isObject(theirs) ? merge({}, theirs, path, conflicts) : theirs;
  if (isObject(ours) && isObject(theirs)) {
    const merged: Record<string, unknown> = { ...ours };
    for (const [key, value] of Object.entries(theirs)) {
      merged[key] = merge(ours[key], value, path === '' ? key : `${path}.${key}`, conflicts);
    }
    return merged;
  }
  if (Array.isArray(ours) && Array.isArray(theirs)) return mergeLists(ours, theirs, path, conflicts);
  if (ours !== theirs) conflicts.push(path);
  return ours;
}

/** Entries that have names are joined by them, in our order, then theirs; others are put one after another. */
function mergeLists(
  ours: readonly unknown[],
  theirs: readonly unknown[],
  path: string,
  conflicts: string[],
): unknown[] {
  const merged = [...ours];
  for (const entry of theirs) {
    const name = nameOf(entry);
    const index = name === undefined ? -1 : merged.findIndex((other) => nameOf(other) === name);
    if (index < 0) merged.push(entry);
    else merged[index] = merge(merged[index], entry, `${path}[${name}]`, conflicts);
  }
  return merged;
}

/** Label or annotation keys that belong to us or to KubeVirt. */
export function reservedKeys(keys: Readonly<Record<string, string>> | undefined): readonly string[] {
  return Object.keys(keys ?? {}).filter((key) => {
    const prefix = key.slice(0, Math.max(0, key.indexOf('/')));
    return prefix === GROUP || prefix === 'kubevirt.io' || prefix.endsWith('.kubevirt.io');
  });
}
