import { expect, test } from 'vitest';
import type { ApiClient } from './api-client.ts';
import { ApiEventRecorder, type EventToRecord } from './event-recorder.ts';
import { ManualClock, settle } from './manual-clock.ts';
import type { KubeObject, Stored } from './objects.ts';

const regarding = (uid = 'u', name = 'web'): Stored<KubeObject> => ({
  apiVersion: 'linuxkit.dev/v1alpha1',
  kind: 'LinuxKitImage',
  metadata: { namespace: 'n', name, uid, resourceVersion: '1' },
});
const event = (note: string): EventToRecord => ({
  type: 'Normal',
  reason: 'Building',
  action: 'Build',
  note,
});

type Written = KubeObject & {
  readonly note: string;
  readonly eventTime: string;
  readonly series?: { readonly count: number };
};

function made(create?: () => Promise<unknown>) {
  const clock = new ManualClock();
  const created: Written[] = [];
  const counted: number[] = [];
  const client = {
    create: async (_: unknown, object: Written) => {
      await create?.();
      created.push(object);
    },
    patch: async (_: unknown, _key: unknown, patch: { series: { count: number } }) =>
      void counted.push(patch.series.count),
  } as unknown as ApiClient;
  const recorder = new ApiEventRecorder(client, {
    controller: 'linuxkit.dev/image-controller',
    instance: 'i'.repeat(200),
    clock,
  });
  const stop = new AbortController();
  const run = recorder.run(stop.signal);
  return {
    clock,
    created,
    counted,
    recorder,
    stop: async () => {
      stop.abort();
      await run;
    },
  };
}

test('an event says who, what and when, within the API’s limits', async () => {
  const { created, recorder, stop } = made();
  recorder.record(regarding('u', 'x'.repeat(250)), {
    ...event('ä'.repeat(2000)),
    related: regarding('job', 'job'),
  });
  await settle();
  const [written] = created;
  expect(written).toMatchObject({
    reportingController: 'linuxkit.dev/image-controller',
    reportingInstance: 'i'.repeat(128),
    regarding: { kind: 'LinuxKitImage', uid: 'u', namespace: 'n' },
    related: { name: 'job' },
    metadata: { namespace: 'n' },
  });
  expect(Buffer.byteLength(written?.note ?? '')).toBeLessThanOrEqual(1024);
  expect(written?.note).not.toContain('\ufffd');
  expect(written?.metadata.name.length).toBeLessThanOrEqual(253);
  expect(written?.eventTime).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
  await stop();
});

test('a repeated event is counted on the first one, and begins anew after a while', async () => {
  const { clock, created, counted, recorder, stop } = made();
  for (let n = 0; n < 20; n++) recorder.record(regarding(), event('same'));
  await settle();
  expect(created).toHaveLength(1);
  expect(counted).toEqual([20]);
  for (let n = 20; n < 70; n++) recorder.record(regarding(), event('same'));
  await settle();
  expect(counted).toEqual([20, 70]);
  await clock.advance(7 * 60_000);
  recorder.record(regarding(), event('same'));
  await settle();
  expect(created).toHaveLength(2);
  await stop();
});

test('an object that flaps is held back, and no other for its sake', async () => {
  const { clock, created, recorder, stop } = made();
  for (let n = 0; n < 100; n++) recorder.record(regarding(), event(`${n}`));
  recorder.record(regarding('other'), event('other'));
  await settle();
  await settle();
  expect(created).toHaveLength(26);
  expect(created.at(-1)?.note).toBe('other');
  await clock.advance(60_000);
  for (let n = 100; n < 110; n++) recorder.record(regarding(), event(`${n}`));
  await settle();
  expect(created).toHaveLength(27);
  await stop();
});

test('recording never waits for the API server, nor fails with it, and what is left is written at the end', async () => {
  let broken = true;
  const { created, recorder, stop } = made(async () => {
    if (broken) throw new Error('the API server is away');
  });
  for (let n = 0; n < 3; n++) recorder.record(regarding(`u${n}`), event('lost'));
  await settle();
  expect(created).toEqual([]);
  broken = false;
  recorder.record(regarding('last'), event('last words'));
  await stop();
  expect(created.map(({ note }) => note)).toEqual(['last words']);
});
