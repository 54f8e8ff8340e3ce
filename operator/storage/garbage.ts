import type { Digest } from '../oci/types.ts';
import type { StoredArtifact } from './artifacts.ts';
import type { ObjectInfo } from './store.ts';

/**
 * Which artifacts of an image may be removed: those that nobody keeps and that are older than the
 * grace period. The period covers what a listing cannot show: a build that is writing, a machine
 * that was just given a digest. An artifact of unknown age is young.
 *
 * `kept` holds what machines boot or may roll back to, and the image's own history. `now` and
 * `graceMs` are in milliseconds.
 */
export function collectGarbage(
  artifacts: readonly StoredArtifact[],
  kept: ReadonlySet<Digest>,
  now: Date,
  graceMs: number,
): readonly Digest[] {
  return artifacts
    .filter(({ digest, modified }) => !kept.has(digest) && isOlder(modified, now, graceMs))
    .map(({ digest }) => digest);
}

/**
 * Which cache entries may be removed, by key: everything older than `maxAgeMs`, then the oldest
 * until no more than `maxBytes` remain. Object storage does not tell when an object was last read,
 * so an entry in use is made anew once in `maxAgeMs`. Entries of unknown age stay.
 */
export function collectCache(
  entries: readonly ObjectInfo[],
  now: Date,
  limits: { readonly maxAgeMs: number; readonly maxBytes: number },
): readonly string[] {
  const youngestFirst = entries.toSorted((left, right) => timeOf(right) - timeOf(left));
  let bytes = 0;
  return youngestFirst
    .filter((entry) => {
      bytes += entry.size;
      if (entry.modified === undefined) return false;
      return bytes > limits.maxBytes || isOlder(entry.modified, now, limits.maxAgeMs);
    })
    .map((entry) => entry.key);
}

function isOlder(modified: Date | undefined, now: Date, ms: number): boolean {
  return modified !== undefined && now.getTime() - modified.getTime() > ms;
}

function timeOf(info: ObjectInfo): number {
  return info.modified?.getTime() ?? Number.MAX_SAFE_INTEGER;
}
