import { expect, test } from 'vitest';
import type { ApiClient } from './api-client.ts';
import { ApiError } from './api-error.ts';
import type { WatchEvent, WatchOptions } from './api-options.ts';
import { type Change, Informer } from './informer.ts';
import { ManualClock, settle } from './manual-clock.ts';
import { NO_METRICS } from './metrics.ts';
import type { Stored } from './objects.ts';
import { CONFIG_MAPS, type ConfigMap } from './resources.ts';

const map = (name: string, version: string, uid = `uid-${name}`, value = ''): Stored<ConfigMap> => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { namespace: 'n', name, uid, resourceVersion: version, managedFields: [{}] },
  data: { value },
});

type Watched = {
  readonly options: WatchOptions;
  send(event: WatchEvent<ConfigMap>): void;
  end(error?: Error): void;
};

/** An API server of which the test plays every move. */
class Played {
  lists: (readonly Stored<ConfigMap>[] | Error)[] = [];
  readonly listed: string[] = [];
  readonly watches: Watched[] = [];
  version = 1;

  get client(): ApiClient {
    const { lists, listed, watches } = this;
    const version = (): string => String(this.version);
    return {
      async *pages() {
        listed.push('pages');
        const next = lists.shift() ?? [];
        if (next instanceof Error) throw next;
        yield { items: next, resourceVersion: version() };
      },
      async list() {
        listed.push('whole');
        const next = lists.shift() ?? [];
        if (next instanceof Error) throw next;
        return { items: next, resourceVersion: version() };
      },
      async *watch(_: unknown, options: WatchOptions) {
        const events: (WatchEvent<ConfigMap> | Error | undefined)[] = [];
        let wake = Promise.withResolvers<void>();
        const push = (event: WatchEvent<ConfigMap> | Error | undefined): void => {
          events.push(event);
          wake.resolve();
        };
        options.signal.addEventListener('abort', () => push(options.signal.reason as Error), { once: true });
        watches.push({
          options,
          send: (event) => {
            options.heard?.();
            push(event);
          },
          end: push,
        });
        for (;;) {
          while (events.length > 0) {
            const event = events.shift();
            if (event === undefined) return;
            if (event instanceof Error) throw event;
            yield event;
          }
          await wake.promise;
          wake = Promise.withResolvers();
        }
      },
    } as unknown as ApiClient;
  }

  get last(): Watched {
    const last = this.watches.at(-1);
    if (last === undefined) throw new Error('there is no watch');
    return last;
  }
}

function running(server: Played) {
  const clock = new ManualClock();
  const restarts: string[] = [];
  const informer = new Informer(server.client, CONFIG_MAPS, {
    clock,
    random: () => 0,
    metrics: { ...NO_METRICS.watch, restarted: (_, reason) => void restarts.push(reason) },
    indexes: { value: ({ data }) => Object.values(data ?? {}) },
  });
  const changes: string[] = [];
  informer.onChange((change: Change<ConfigMap>) =>
    changes.push(`${change.type} ${change.object.metadata.name}@${change.object.metadata.resourceVersion}`),
  );
  const stop = new AbortController();
  const run = informer.run(stop.signal);
  return {
    clock,
    informer,
    restarts,
    changes,
    stop: async () => {
      stop.abort();
      await run;
    },
  };
}

test('lists, then watches from there, and tells each change once', async () => {
  const server = new Played();
  server.lists = [[map('a', '1'), map('b', '1')]];
  server.version = 5;
  const { informer, changes, stop } = running(server);
  await settle();
  expect(informer.hasSynced).toBe(true);
  expect(server.last.options).toMatchObject({ resourceVersion: '5', timeoutSeconds: 300 });
  server.last.send({ type: 'MODIFIED', object: map('a', '6') });
  server.last.send({ type: 'MODIFIED', object: map('a', '6') });
  server.last.send({ type: 'DELETED', object: map('b', '7') });
  await settle();
  expect(changes).toEqual(['added a@1', 'added b@1', 'updated a@6', 'deleted b@7']);
  expect(informer.get({ namespace: 'n', name: 'a' })?.metadata).not.toHaveProperty('managedFields');
  await stop();
});

test('resumes from the last version it saw, a bookmark’s too', async () => {
  const server = new Played();
  const { clock, restarts, stop } = running(server);
  await settle();
  server.last.send({ type: 'ADDED', object: map('a', '7') });
  server.last.send({ type: 'BOOKMARK', object: { metadata: { resourceVersion: '99' } } });
  await settle();
  server.last.end();
  await clock.advance(1);
  expect(server.watches).toHaveLength(2);
  expect(server.last.options.resourceVersion).toBe('99');
  server.last.end(new ApiError('Unreachable', 'reset'));
  await clock.advance(2_000);
  expect(server.last.options.resourceVersion).toBe('99');
  expect(restarts).toEqual(['expired', 'error']);
  expect(server.listed).toEqual(['pages']);
  await stop();
});

test.each([
  ['as an error', (server: Played) => server.last.end(new ApiError('Gone', 'x'))],
  [
    'as an event with its code',
    (server: Played) => server.last.send({ type: 'ERROR', object: { code: 410 } }),
  ],
  [
    'as an event with its reason',
    (server: Played) => server.last.send({ type: 'ERROR', object: { reason: 'Expired' } }),
  ],
])(
  'a version that the server forgot, told %s, is followed by a new list that tells what vanished',
  async (_, forget) => {
    const server = new Played();
    server.lists = [
      [map('a', '1'), map('b', '1'), map('c', '1')],
      [map('a', '1'), map('b', '9', 'another uid')],
    ];
    const { clock, changes, restarts, stop } = running(server);
    await settle();
    changes.length = 0;
    forget(server);
    await clock.advance(2_000);
    expect(restarts).toEqual(['gone']);
    expect(changes).toEqual(['deleted b@1', 'added b@9', 'deleted c@1']);
    await stop();
  },
);

test('a list whose pages were compacted away is read whole', async () => {
  const server = new Played();
  server.lists = [new ApiError('Gone', 'compacted'), [map('a', '1')]];
  const { informer, stop } = running(server);
  await settle();
  expect(server.listed).toEqual(['pages', 'whole']);
  expect(informer.list()).toHaveLength(1);
  await stop();
});

test('failures wait longer and longer, and a healthy watch ends that', async () => {
  const server = new Played();
  server.lists = Array.from({ length: 5 }, () => new ApiError('Unreachable', 'x'));
  const { clock, informer, stop } = running(server);
  const at: number[] = [];
  for (let tick = 0; tick < 400; tick++) {
    if (server.listed.length > at.length) at.push(clock.monotonic());
    await clock.advance(50);
  }
  expect(at).toEqual(
    [50, 500, 1500, 3500, 7500, 15500].map((ms, index) => (index === 0 ? 0 : ms)).map((ms) => ms || at[0]),
  );
  expect(informer.hasSynced).toBe(true);
  await clock.advance(15_000);
  server.last.end(new ApiError('Unreachable', 'x'));
  await clock.advance(500);
  expect(server.watches).toHaveLength(2);
  await stop();
});

test('silence is taken for death: 3 minutes after a bookmark, else half a minute after the watch should have ended', async () => {
  const server = new Played();
  const { clock, restarts, stop } = running(server);
  await settle();
  await clock.advance(329_000);
  expect(restarts).toEqual([]);
  await clock.advance(2_000);
  expect(restarts).toEqual(['stale']);
  await clock.advance(1_000);
  server.last.send({ type: 'BOOKMARK', object: { metadata: { resourceVersion: '9' } } });
  await clock.advance(100_000);
  server.last.send({ type: 'MODIFIED', object: map('a', '10') });
  await clock.advance(179_000);
  expect(restarts).toEqual(['stale']);
  await clock.advance(2_000);
  expect(restarts).toEqual(['stale', 'stale']);
  await clock.advance(2_000);
  expect(server.last.options.resourceVersion).toBe('10');
  await stop();
});

test('a handler that throws costs the others nothing, and late ones hear of what is there', async () => {
  const server = new Played();
  server.lists = [[map('a', '1', 'u', 'red')]];
  const { informer, changes, stop } = running(server);
  informer.onChange(() => {
    throw new Error('broken handler');
  });
  await settle();
  server.last.send({ type: 'MODIFIED', object: map('a', '2', 'u', 'blue') });
  await settle();
  expect(changes).toEqual(['added a@1', 'updated a@2']);
  const late: string[] = [];
  informer.onChange(({ type, object }) => late.push(`${type} ${object.metadata.name}`));
  expect(late).toEqual(['added a']);
  expect(informer.byIndex('value', 'red')).toEqual([]);
  expect(informer.byIndex('value', 'blue')).toHaveLength(1);
  expect(informer.list('n')).toHaveLength(1);
  expect(informer.list('elsewhere')).toEqual([]);
  expect(() => informer.byIndex('nothing', 'x')).toThrow(RangeError);
  await stop();
});
