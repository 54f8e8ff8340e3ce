import { expect, test } from 'vitest';
import { NO_TRACER, type SpanAttributes, type Tracer } from '../telemetry/tracer.ts';
import { ApiError } from './api-error.ts';
import { Controller, type Reconcile, StalledError, WaitingError } from './controller.ts';
import { SILENT_LOGGER } from './logger.ts';
import { ManualClock, settle } from './manual-clock.ts';
import { NO_METRICS, type ReconcileOutcome, type RuntimeMetrics } from './metrics.ts';

interface Running {
  readonly controller: Controller;
  readonly clock: ManualClock;
  readonly seen: string[];
  readonly stop: () => Promise<void>;
}

/** A controller of one worker on a clock that the test moves; `seen` tells what it measured. */
function running(reconcile: Reconcile, workers = 1, tracer: Tracer = NO_TRACER): Running {
  const clock = new ManualClock();
  const seen: string[] = [];
  const metrics: RuntimeMetrics = {
    ...NO_METRICS,
    controller: () => ({
      reconciled: (outcome: ReconcileOutcome) => void seen.push(outcome),
      stalled: () => void seen.push('stalled'),
      panicked: () => void seen.push('panicked'),
      timedOut: () => void seen.push('timedOut'),
      workers: () => undefined,
    }),
  };
  const controller = new Controller({
    name: 'test',
    reconcile,
    logger: SILENT_LOGGER,
    workers,
    reconcileTimeoutMs: 1_000,
    metrics,
    tracer,
    clock,
    random: () => 0,
  });
  const stop = new AbortController();
  const run = controller.run(stop.signal);
  return {
    controller,
    clock,
    seen,
    stop: async () => {
      stop.abort();
      await run;
    },
  };
}

test.each([
  ['nothing', () => undefined, ['success'], undefined],
  ['a look later', () => ({ requeueAfterMs: 700 }), ['requeue_after'], 700],
  ['an error', () => new ApiError('ServerError', 'x'), ['error'], 100],
  ['a conflict', () => new ApiError('Conflict', 'x'), ['requeue_after'], 100],
  ['a wait', () => new WaitingError('Later', 'x', 5_000), ['requeue_after'], 5_000],
  ['a stall', () => new StalledError('Bad', 'x'), ['error', 'stalled'], undefined],
  ['a bug', () => new TypeError('x'), ['error', 'panicked'], 100],
  ['what is no error', () => 'text' as unknown as Error, ['error', 'panicked'], 100],
])('%s is counted and decides when the object comes again', async (_, result, counted, againMs) => {
  let calls = 0;
  const { controller, clock, seen, stop } = running(async () => {
    calls++;
    const made = result();
    if (made !== undefined && !('requeueAfterMs' in Object(made))) throw made;
    return made as { requeueAfterMs: number } | undefined;
  });
  controller.queue.add('ns/a');
  await settle();
  expect(calls).toBe(1);
  expect(seen).toEqual(counted);
  if (againMs === undefined) {
    await clock.advance(3_600_000);
    expect(calls).toBe(1);
  } else {
    await clock.advance(againMs - 1);
    expect(calls).toBe(1);
    await clock.advance(1);
    expect(calls).toBe(2);
  }
  await stop();
});

test('each reconcile is a span that says of what, how long it had waited, and how it ended', async () => {
  const ended: { readonly attributes: SpanAttributes; readonly problem: string | undefined }[] = [];
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const tracer: Tracer = {
    start: (name, { attributes = {} } = {}) => {
      const all: Record<string, string | number | boolean> = { ...attributes, span: name };
      return {
        traceparent,
        set: (more) => void Object.assign(all, more),
        end: (problem) => void ended.push({ attributes: all, problem }),
      };
    },
  };
  const handed: unknown[] = [];
  const reconcile: Reconcile = async ({ name }, context) => {
    handed.push(context.traceparent);
    await new Promise<void>((resolve) => void clock.timer(10, resolve));
    if (name === 'b') throw new ApiError('ServerError', 'out of luck');
  };
  const { controller, clock, stop } = running(reconcile, 1, tracer);
  controller.queue.add('ns/a');
  controller.queue.add('ns/b');
  await clock.advance(20);
  await stop();
  const common = { span: 'reconcile test', 'linuxkit.controller': 'test', 'k8s.namespace.name': 'ns' };
  expect(ended).toMatchObject([
    {
      attributes: {
        ...common,
        'linuxkit.name': 'a',
        'linuxkit.reconcile.id': expect.stringMatching(/^[0-9a-f-]{36}$/),
        'linuxkit.queue.seconds': 0,
        'linuxkit.reconcile.result': 'success',
      },
      problem: undefined,
    },
    {
      attributes: {
        ...common,
        'linuxkit.name': 'b',
        'linuxkit.queue.seconds': 0.01,
        'linuxkit.reconcile.result': 'error',
      },
      problem: 'out of luck',
    },
  ]);
  expect(handed).toEqual([traceparent, traceparent]);
});

test('after a success the waits begin anew', async () => {
  let failing = true;
  const at: number[] = [];
  const { controller, clock, stop } = running(async () => {
    at.push(clock.monotonic());
    if (failing) throw new ApiError('ServerError', 'x');
  });
  controller.queue.add('ns/a');
  await clock.advance(700);
  expect(at).toEqual([0, 100, 300, 700]);
  failing = false;
  await clock.advance(800);
  failing = true;
  controller.queue.add('ns/a');
  await clock.advance(100);
  expect(at.slice(4)).toEqual([1500, 1500, 1600]);
  await stop();
});

test('a reconcile is told of its deadline and, cut off, comes again', async () => {
  let calls = 0;
  const { controller, clock, seen, stop } = running(async (_, { signal }) => {
    calls++;
    await new Promise((_resolve, reject) =>
      signal.addEventListener('abort', () => reject(signal.reason), { once: true }),
    );
  });
  controller.queue.add('ns/a');
  await clock.advance(1_000);
  expect(seen).toEqual(['timedOut', 'error']);
  await clock.advance(100);
  expect(calls).toBe(2);
  await stop();
});

test('objects are worked on side by side, one object never twice at once', async () => {
  const inWork = new Set<string>();
  let most = 0;
  const { controller, clock, stop } = running(async ({ name }) => {
    expect(inWork.has(name)).toBe(false);
    inWork.add(name);
    most = Math.max(most, inWork.size);
    await new Promise<void>((resolve) => void clock.timer(10, resolve));
    inWork.delete(name);
  }, 3);
  for (let round = 0; round < 20; round++) {
    for (const name of ['a', 'b', 'c', 'd']) controller.queue.add(`ns/${name}`);
    await clock.advance(5);
  }
  await clock.advance(100);
  expect(most).toBe(3);
  await stop();
});

test('stopping aborts what runs and waits for it to end', async () => {
  let ended = false;
  const { controller, stop } = running(async (_, { signal }) => {
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    await settle();
    ended = true;
  });
  controller.queue.add('ns/a');
  await settle();
  await stop();
  expect(ended).toBe(true);
  controller.queue.add('ns/b');
  expect(controller.queue.depth).toBe(0);
});
