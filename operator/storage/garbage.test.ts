import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Digest, sha256Digest } from '../oci/types.ts';
import type { StoredArtifact } from './artifacts.ts';
import { collectCache, collectGarbage } from './garbage.ts';

const HOUR = 3_600_000;
const now = new Date('2026-11-24T12:00:00Z');
const hoursAgo = (hours: number) => new Date(now.getTime() - hours * HOUR);
const digestOf = (index: number): Digest => sha256Digest(index.toString(16).padStart(64, '0'));

function artifact(index: number, modified: Date | undefined, complete = true): StoredArtifact {
  return { digest: digestOf(index), complete, size: 1, modified };
}

describe('collectGarbage', () => {
  const grace = 2 * HOUR;

  it('takes what nobody keeps and what is older than the grace period, complete or not', () => {
    const artifacts = [
      artifact(1, hoursAgo(5)),
      artifact(2, hoursAgo(5)),
      artifact(3, hoursAgo(1)),
      artifact(4, hoursAgo(3), false),
      artifact(5, undefined),
    ];
    expect(collectGarbage(artifacts, new Set([digestOf(1)]), now, grace)).toEqual([digestOf(2), digestOf(4)]);
  });

  it('leaves an artifact exactly as old as the grace period', () => {
    expect(collectGarbage([artifact(1, hoursAgo(2))], new Set(), now, grace)).toEqual([]);
  });

  it('never takes a kept artifact, nor a young one', () => {
    const ages = fc.array(fc.option(fc.integer({ min: -10, max: 100 }), { nil: undefined }), {
      maxLength: 20,
    });
    fc.assert(
      fc.property(ages, fc.array(fc.nat(20)), (hours, keptIndexes) => {
        const artifacts = hours.map((age, index) =>
          artifact(index, age === undefined ? undefined : hoursAgo(age)),
        );
        const kept = new Set(keptIndexes.map(digestOf));
        const taken = new Set(collectGarbage(artifacts, kept, now, grace));
        for (const { digest, modified } of artifacts) {
          const old = modified !== undefined && now.getTime() - modified.getTime() > grace;
          expect(taken.has(digest)).toBe(old && !kept.has(digest));
        }
      }),
    );
  });
});

describe('collectCache', () => {
  const entry = (key: string, hours: number | undefined, size = 10) => ({
    key,
    size,
    ...(hours === undefined ? {} : { modified: hoursAgo(hours) }),
  });

  it('takes entries beyond their age', () => {
    const entries = [entry('old', 30), entry('young', 1), entry('unknown', undefined)];
    expect(collectCache(entries, now, { maxAgeMs: 24 * HOUR, maxBytes: 1000 })).toEqual(['old']);
  });

  it('takes the oldest until the rest fits', () => {
    const entries = [entry('b', 2), entry('d', 4), entry('a', 1), entry('c', 3)];
    expect(collectCache(entries, now, { maxAgeMs: 24 * HOUR, maxBytes: 25 })).toEqual(['c', 'd']);
  });

  it('counts an entry that it cannot date and leaves it', () => {
    const entries = [entry('unknown', undefined, 30), entry('a', 1)];
    expect(collectCache(entries, now, { maxAgeMs: 24 * HOUR, maxBytes: 25 })).toEqual(['a']);
  });
});
