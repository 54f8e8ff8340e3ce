import { assert, integer, property } from 'fast-check';
import { expect, test } from 'vitest';
import { rfc3339 } from '../../api/conditions.ts';
import { imageWith, NOW } from './image-under-test.ts';
import { refreshTick } from './refresh.ts';

const HOUR = 3_600_000;
const artifact = {
  digest: `sha256:${'a'.repeat(64)}`,
  bootImage: { reference: 'x', digest: `sha256:${'b'.repeat(64)}` },
  architecture: 'amd64',
  compression: 'gzip',
  kernel: { key: 'k', size: 1, sha256: 'c'.repeat(64) },
  initrd: { key: 'k', size: 1, sha256: 'c'.repeat(64) },
  cmdline: { key: 'k', size: 1, sha256: 'c'.repeat(64), text: '' },
  inputs: [],
  created: rfc3339(new Date(NOW)),
  reason: 'Created',
};
const every12h = (status: object) =>
  imageWith({ spec: { refresh: { interval: '12h' } }, status: status as Record<string, unknown> });

test('without an interval, or before the first build, there is nothing to tick', () => {
  expect(refreshTick(imageWith({ status: { artifact } }), NOW + 99 * HOUR)).toEqual({ tick: '' });
  expect(refreshTick(every12h({}), NOW)).toEqual({ tick: '' });
  expect(refreshTick(imageWith({ status: { lastRefresh: 'then' } }), NOW)).toEqual({ tick: 'then' });
});

test('it ticks an interval after the first build, at most a tenth later', () => {
  const image = every12h({ artifact });
  const { tick, nextAt = 0 } = refreshTick(image, NOW + HOUR);
  expect(tick).toBe('');
  expect(nextAt - NOW).toBeGreaterThanOrEqual(12 * HOUR);
  expect(nextAt - NOW).toBeLessThan(13.2 * HOUR);
  expect(refreshTick(image, nextAt - 1).tick).toBe('');
  expect(refreshTick(image, nextAt).tick).toBe(rfc3339(new Date(NOW + 12 * HOUR)));
});

test('whoever was away for a week finds one tick, the last', () => {
  const image = every12h({ artifact });
  expect(refreshTick(image, NOW + 7 * 24 * HOUR + 6 * HOUR).tick).toBe(
    rfc3339(new Date(NOW + 7 * 24 * HOUR)),
  );
});

test('a tick that was written down stays until the next one falls due, which lies ahead and does not drift', () => {
  assert(
    property(integer({ min: 0, max: 1000 }), integer({ min: 0, max: 12 * 3600 }), (ticks, seconds) => {
      const now = NOW + ticks * 12 * HOUR + seconds * 1000;
      const { tick, nextAt = 0 } = refreshTick(every12h({ artifact }), now);
      expect(nextAt).toBeGreaterThan(now);
      if (tick === '') return;
      const later = refreshTick(every12h({ artifact, lastRefresh: tick }), now);
      expect(later).toEqual({ tick, nextAt });
      expect((Date.parse(tick) - NOW) % (12 * HOUR)).toBe(0);
    }),
  );
});
