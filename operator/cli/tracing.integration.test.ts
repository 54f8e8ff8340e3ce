import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ImagePublisher, INIT_ENTRIES, moduleEntries } from '../../e2e/build/image-publisher.ts';
import { ControlPlane } from '../../e2e/cluster/control-plane.ts';
import { installCrds } from '../../e2e/cluster/crds.ts';
import { findFreePort } from '../../e2e/cluster/ports.ts';
import { program } from '../../e2e/images/entry.ts';
import { OciLayout } from '../../e2e/images/oci-layout.ts';
import { waitFor } from '../../e2e/process/wait.ts';
import { silentReporter } from '../../e2e/progress/reporter.ts';
import { type RegistryService, startRegistry } from '../../e2e/services/registry.ts';
import { type S3Service, startS3 } from '../../e2e/services/s3.ts';
import { ARTIFACT_AUDIENCE, BUILD_PATHS } from '../api/names.ts';
import type { BuildOutcome } from '../build/record.ts';
import { IMAGES, type ImageObject } from '../controllers/image/objects.ts';
import { ClusterAccess } from '../runtime/access.ts';
import { ApiClient } from '../runtime/api-client.ts';
import type { Stored } from '../runtime/objects.ts';
import { CONFIG_MAPS, JOBS, type Job, NAMESPACES, PODS } from '../runtime/resources.ts';
import { Transport } from '../runtime/transport.ts';
import { type ReceivedSpan, TraceReceiver } from '../telemetry/trace-receiver.ts';

const MAIN = join(import.meta.dirname, '../main.ts');
const signal = AbortSignal.timeout(900_000);
let folder: string;
let plane: ControlPlane;
let client: ApiClient;
let s3: S3Service;
let registry: RegistryService;
let collector: TraceReceiver;
let manager: ChildProcess;
const log: string[] = [];

const config: Record<string, unknown> = {};

async function startManager(): Promise<ChildProcess> {
  const [health, artifacts] = [await findFreePort(), await findFreePort()];
  const args = [
    `--kubeconfig=${plane.kubeconfig}`,
    '--namespace=linuxkit-system',
    '--identity=one',
    '--health-listen=127.0.0.1',
    `--health-port=${health}`,
    '--artifacts-listen=127.0.0.1',
    `--artifacts-port=${artifacts}`,
    `--artifacts-host=127.0.0.1:${artifacts}`,
    '--builder-image=operator:test',
    `--builder-trace-endpoint=${collector.endpoint}`,
  ];
  const child = spawn(process.execPath, [MAIN, 'manager', ...args], {
    env: {
      PATH: process.env['PATH'],
      LINUXKIT_S3_ENDPOINT: s3.endpoint,
      LINUXKIT_S3_REGION: s3.region,
      LINUXKIT_S3_BUCKET: 'traced',
      LINUXKIT_S3_ACCESS_KEY_ID: s3.accessKey,
      LINUXKIT_S3_SECRET_ACCESS_KEY: s3.secretKey,
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint,
      OTEL_EXPORTER_OTLP_HEADERS: 'x-tenant=operations',
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  createInterface(child.stderr).on('line', (line) => log.push(line));
  return child;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tracing-'));
  [plane, s3, registry, collector] = await Promise.all([
    ControlPlane.start(silentReporter, signal, { controllers: true }),
    startS3(),
    startRegistry(),
    TraceReceiver.start(),
  ]);
  client = new ApiClient(ClusterAccess.load({ file: plane.kubeconfig }));
  await installCrds(client, signal);
  for (const name of ['linuxkit-system', 'tenant'])
    await client.create(NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } }, { signal });
  const images = new ImagePublisher(new OciLayout(join(folder, 'layout')), registry.host);
  Object.assign(config, {
    kernel: { image: await images.publishKernel('kernel', moduleEntries('6.1.0')), cmdline: 'quiet' },
    init: [await images.publish('init', [INIT_ENTRIES])],
    onboot: [
      {
        name: 'web',
        image: await images.publish('web', [[program('bin/web', 'w')]]),
        command: ['/bin/web'],
      },
    ],
  });
  manager = await startManager();
});

afterAll(async () => {
  if (manager.exitCode === null) manager.kill('SIGKILL');
  await client.access[Symbol.asyncDispose]();
  await Promise.all([plane.stop(), s3.stop(), registry.stop(), collector[Symbol.asyncDispose]()]);
  await rm(folder, { recursive: true });
});

/** The Job's pod has no node to run on here: this gives it what a kubelet would, and runs its program. */
async function runPod(job: Stored<Job>): Promise<{ readonly outcome: BuildOutcome; readonly log: string[] }> {
  const { name } = job.metadata;
  const pod = await waitFor(
    'the pod',
    async () => (await client.list(PODS, { namespace: 'tenant', signal })).items[0],
    { signal, timeout: 30_000 },
  );
  const token = (await new Transport(client.access).json(
    {
      method: 'POST',
      path: 'api/v1/namespaces/tenant/serviceaccounts/default/token',
      body: {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        spec: {
          audiences: [ARTIFACT_AUDIENCE],
          boundObjectRef: {
            kind: 'Pod',
            apiVersion: 'v1',
            name: pod.metadata.name,
            uid: pod.metadata.uid,
          },
        },
      },
      what: 'request a token',
    },
    { signal },
  )) as { readonly status: { readonly token: string } };
  const request = await client.get(CONFIG_MAPS, { namespace: 'tenant', name }, { signal });
  const root = join(folder, 'pod');
  const files = [
    [BUILD_PATHS.request, request.data?.['request.json'] ?? ''],
    [BUILD_PATHS.token, token.status.token],
    [BUILD_PATHS.terminationMessage, ''],
  ] as const;
  await mkdir(join(root, BUILD_PATHS.work), { recursive: true });
  for (const [path, content] of files) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
  }
  const [container] = job.spec?.template.spec?.containers ?? [];
  const own = Object.fromEntries((container?.env ?? []).map(({ name, value }) => [name, value ?? '']));
  const child = spawn(process.execPath, [MAIN, ...(container?.args ?? []), '--root', root], {
    env: { PATH: process.env['PATH'], ...own, TMPDIR: folder, HOME: folder },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const lines: string[] = [];
  createInterface(child.stderr).on('line', (line) => lines.push(line));
  const [code] = (await once(child, 'exit')) as [number];
  expect(code, lines.join('\n')).toBe(0);
  const message = await readFile(join(root, BUILD_PATHS.terminationMessage), 'utf8');
  return { outcome: JSON.parse(message) as BuildOutcome, log: lines };
}

/** What the same configuration gives on a command line that knows of no trace. */
async function digestUntraced(): Promise<string> {
  const file = join(folder, 'image.yml');
  await writeFile(file, JSON.stringify(config));
  const output = join(folder, 'out');
  const child = spawn(process.execPath, [MAIN, 'build', file, '--output', output, '--quiet'], {
    env: { PATH: process.env['PATH'], TMPDIR: folder, HOME: folder },
    stdio: 'ignore',
  });
  await once(child, 'exit');
  return (JSON.parse(await readFile(join(output, 'build.json'), 'utf8')) as { digest: string }).digest;
}

test('one trace leads from the reconcile by way of the Job to the uploads', async () => {
  const image = {
    apiVersion: 'linuxkit.dev/v1alpha1',
    kind: 'LinuxKitImage',
    metadata: { name: 'web', namespace: 'tenant' },
    spec: { config },
  };
  await client.create(IMAGES, image as unknown as ImageObject, { signal });
  const job = await waitFor(
    'the Job',
    async () => {
      if (manager.exitCode !== null) throw new Error(`the manager ended:\n${log.slice(-20).join('\n')}`);
      return (await client.list(JOBS, { namespace: 'tenant', signal })).items[0];
    },
    { signal, timeout: 60_000 },
  );
  const { outcome, log: lines } = await runPod(job);
  expect(outcome).toMatchObject({ result: 'succeeded', reused: false, digest: await digestUntraced() });

  manager.kill('SIGTERM');
  await once(manager, 'exit');
  const build = collector.spans.find(({ name }) => name === 'build') as ReceivedSpan;
  const spans = collector.spans.filter(({ traceId }) => traceId === build.traceId);
  const named = (name: string): readonly ReceivedSpan[] => spans.filter((span) => span.name === name);

  const [reconcile, ...others] = named('reconcile image');
  expect(others).toEqual([]);
  expect(reconcile).toMatchObject({
    attributes: {
      'linuxkit.controller': 'image',
      'k8s.namespace.name': 'tenant',
      'linuxkit.name': 'web',
      'linuxkit.queue.seconds': expect.any(Number),
    },
    resource: { 'service.name': 'linuxkit-operator' },
  });
  expect(reconcile?.parentSpanId).toBeUndefined();
  expect(build).toMatchObject({
    parentSpanId: reconcile?.spanId,
    attributes: { 'k8s.namespace.name': 'tenant', 'linuxkit.name': 'web' },
    resource: { 'service.name': 'linuxkit-build' },
  });
  for (const step of ['configure', 'resolve', 'verify', 'assemble', 'upload'])
    expect(named(step), step).toMatchObject([{ parentSpanId: build.spanId, status: { code: 0 } }]);
  expect(named('pull').map(({ parentSpanId }) => parentSpanId)).toEqual(Array(3).fill(build.spanId));
  const [upload] = named('upload');
  const puts = named('put');
  expect(puts.map(({ parentSpanId }) => parentSpanId)).toEqual(puts.map(() => upload?.spanId));
  expect(puts.map(({ attributes }) => String(attributes['linuxkit.object']))).toEqual(
    expect.arrayContaining([expect.stringMatching(/\/kernel$/), expect.stringMatching(/\/build\.json$/)]),
  );
  for (const span of spans) {
    const [begin, end] = [BigInt(span.startTimeUnixNano), BigInt(span.endTimeUnixNano)];
    expect(end >= begin).toBe(true);
    expect(begin >= BigInt(reconcile?.startTimeUnixNano ?? 0)).toBe(true);
  }

  // The log of both is found by the trace. The operator's headers stay with the operator.
  const { traceId } = build;
  for (const text of [lines.at(-1), log.find((line) => line.includes('"startBuild"'))])
    expect(JSON.parse(text ?? '')).toMatchObject({ traceID: traceId, namespace: 'tenant', name: 'web' });
  expect(collector.requests.some(({ headers }) => headers['x-tenant'] === 'operations')).toBe(true);
  expect(JSON.stringify(job)).not.toContain('operations');
});
