import { expect, test } from 'vitest';
import type { KubeObject, Stored } from '../../runtime/objects.ts';
import { BootTimes } from './boot-times.ts';
import { OwnWrites } from './own-writes.ts';

function object(uid: string, resourceVersion: string): Stored<KubeObject> {
  return { apiVersion: 'v1', kind: 'Thing', metadata: { name: uid, uid, resourceVersion } };
}

const all = (): boolean => true;

test('what was written is read until the cache has it, or something newer', () => {
  const writes = new OwnWrites(() => 0);
  const [old, written, newer] = [object('a', '9'), object('a', '10'), object('a', '11')];
  expect(writes.newest(old)).toBe(old);
  writes.remember(written);
  expect(writes.newest(old)).toBe(written);
  expect(writes.merge([old], all)).toEqual([written]);
  expect(writes.newest(newer)).toBe(newer);
  // Once it was seen, an older one is somebody else's affair.
  expect(writes.newest(old)).toBe(old);
});

test('what was made is there before the cache has it, but not for ever', () => {
  let now = 0;
  const writes = new OwnWrites(() => now);
  writes.remember(object('a', '1'));
  writes.remember(object('b', '2'));
  expect(writes.merge([], ({ metadata }) => metadata.uid === 'b')).toEqual([object('b', '2')]);
  writes.forget('b');
  now = 31_000;
  expect(writes.merge([], all)).toEqual([]);
});

test('versions that are no numbers are not compared', () => {
  const writes = new OwnWrites(() => 0);
  writes.remember(object('a', 'y'));
  const cached = object('a', 'x');
  expect(writes.newest(cached)).toBe(cached);
});

test('the time to boot is told once for each instance, of those that were seen to start', () => {
  const times = new BootTimes();
  const row = (ready: boolean): object => ({
    name: 'web-0',
    ordinal: 0,
    phase: 'Running',
    ready,
    updated: true,
  });
  const status = (ready: boolean): { machines: never[] } => ({ machines: [row(ready)] as never[] });
  const boot = (instance: string, readySince?: string): Parameters<BootTimes['observe']>[2][number] => ({
    name: 'web-0',
    instance,
    created: '2026-11-24T12:00:00Z',
    readySince,
  });
  expect(times.observe('m', undefined, [boot('i0', '2026-11-24T12:00:09Z')])).toEqual([]);
  expect(times.observe('m', status(false), [boot('i1')])).toEqual([]);
  expect(times.observe('m', status(false), [boot('i1', '2026-11-24T12:00:12Z')])).toEqual([12]);
  // Its probe fails for a while.
  expect(times.observe('m', status(true), [boot('i1')])).toEqual([]);
  expect(times.observe('m', status(false), [boot('i1', '2026-11-24T12:30:00Z')])).toEqual([]);
  // What was ready before this process looked belongs to the one before.
  expect(times.observe('m2', status(true), [boot('i2', '2026-11-24T12:00:12Z')])).toEqual([]);
});
