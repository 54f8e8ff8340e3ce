import { expect, test } from 'vitest';
import { type ReceivedSpan, TraceReceiver } from './trace-receiver.ts';
import { inSpan, traceIdOf } from './tracer.ts';
import { type Environment, isTraced, startTracing } from './tracing.ts';

const told: string[] = [];
const logger = {
  info: (message: string) => void told.push(message),
  warn: (message: string) => void told.push(message),
};

const tracing = (environment: Environment) =>
  startTracing({
    environment,
    service: 'test',
    version: '1.2.3',
    attributes: { 'k8s.pod.name': 'a-pod' },
    logger,
  });

/** OpenTelemetry's exporter reads the process' own environment. */
async function withEnvironment<T>(
  environment: Readonly<Record<string, string>>,
  work: () => Promise<T>,
): Promise<T> {
  Object.assign(process.env, environment);
  try {
    return await work();
  } finally {
    for (const name of Object.keys(environment)) delete process.env[name];
  }
}

test.each<readonly [boolean, Environment]>([
  [false, {}],
  [false, { OTEL_EXPORTER_OTLP_ENDPOINT: ' ' }],
  [true, { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318' }],
  [true, { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://c:4318/v1/traces' }],
  [false, { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318', OTEL_SDK_DISABLED: 'TRUE' }],
  [false, { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318', OTEL_TRACES_EXPORTER: 'none' }],
])('traced: %s with %o', (traced, environment) => {
  expect(isTraced(environment)).toBe(traced);
});

test('without an endpoint there is nothing to hand on', async () => {
  await using untraced = await tracing({});
  const span = untraced.tracer.start('nothing');
  span.set({ a: 1 });
  span.end('unseen');
  expect(span.traceparent).toBeUndefined();
});

test('spans reach the endpoint as parts of the trace that was handed on, failures and all', async () => {
  await using receiver = await TraceReceiver.start();
  const environment = {
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint,
    OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20secret',
    OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test,service.name=renamed',
  };
  const parent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  await withEnvironment(environment, async () => {
    await using traced = await tracing(environment);
    const { tracer } = traced;
    const span = tracer.start('outer', { parent, attributes: { n: 1 } });
    expect(traceIdOf(span.traceparent)).toBe('0af7651916cd43dd8448eb211c80319c');
    const work = inSpan(
      tracer.start('inner', { parent: span.traceparent, begun: 1_700_000_000_000 }),
      () => Promise.reject(new Error('out of luck')),
      (error) => (error as Error).message,
    );
    await expect(work).rejects.toThrow('out of luck');
    span.set({ after: true });
    span.end();
    tracer.start('stranger', { parent: 'not-a-trace' }).end();
  });
  const [inner, outer, stranger] = ['inner', 'outer', 'stranger'].map(
    (name) => receiver.spans.find((span) => span.name === name) as ReceivedSpan,
  );
  expect(outer).toMatchObject({
    traceId: '0af7651916cd43dd8448eb211c80319c',
    parentSpanId: 'b7ad6b7169203331',
    attributes: { n: 1, after: true },
    status: { code: 0 },
    resource: {
      'service.name': 'renamed',
      'service.version': '1.2.3',
      'k8s.pod.name': 'a-pod',
      'deployment.environment.name': 'test',
    },
  });
  expect(inner).toMatchObject({
    traceId: outer?.traceId,
    parentSpanId: outer?.spanId,
    startTimeUnixNano: '1700000000000000000',
    status: { code: 2, message: 'out of luck' },
  });
  expect(stranger?.parentSpanId).toBeUndefined();
  expect(receiver.requests).toMatchObject([
    { path: '/v1/traces', headers: { authorization: 'Bearer secret' } },
  ]);
});

test.each([
  [{ OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '0' }, false, true],
  [{ OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '1' }, true, true],
  [{ OTEL_TRACES_SAMPLER: 'always_off' }, false, false],
  [{}, true, true],
])('%o decides: a root is recorded: %s, a part of a recorded trace: %s', async (sampler, root, part) => {
  await using receiver = await TraceReceiver.start();
  const environment = { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint, ...sampler };
  await withEnvironment(environment, async () => {
    await using traced = await tracing(environment);
    const sampled = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const unsampled = sampled.replace(/01$/, '00');
    const recorded = (parent?: string) =>
      traced.tracer.start('x', parent === undefined ? {} : { parent }).traceparent !== undefined;
    expect([recorded(), recorded(sampled), recorded(unsampled)]).toEqual([root, part, false]);
  });
});

test('an endpoint that takes nothing is told of once, and holds up the end a few seconds at most', async () => {
  await using receiver = await TraceReceiver.start();
  receiver.status = 400;
  told.length = 0;
  const environment = { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint };
  const begun = performance.now();
  await withEnvironment(environment, async () => {
    await using traced = await tracing(environment);
    traced.tracer.start('lost').end();
  });
  expect(performance.now() - begun).toBeLessThan(6_000);
  expect(told).toEqual(['traces cannot be sent; they are lost meanwhile']);
});
