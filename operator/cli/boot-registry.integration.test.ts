import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { waitFor } from '../../e2e/process/wait.ts';
import { startS3 } from '../../e2e/services/s3.ts';
import { makeArtifact, storeArtifact } from '../bootregistry/artifact-under-test.ts';
import { type BucketUnderTest, bucketOf } from '../storage/s3/bucket-under-test.ts';
import { deadline } from '../storage/store-contract.ts';

const MAIN = join(import.meta.dirname, '../main.ts');

let bucket: BucketUnderTest;
let child: ChildProcess;
let registry: string;
let health: string;

function start(args: readonly string[], env: Readonly<Record<string, string>>): ChildProcess {
  return spawn(process.execPath, [MAIN, 'boot-registry', ...args], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
}

/** Fields of the first log line with that message. */
async function logged(process: ChildProcess, message: string): Promise<Record<string, string>> {
  if (process.stderr === null) throw new Error('standard error is a pipe');
  for await (const line of createInterface(process.stderr)) {
    const entry = JSON.parse(line) as Record<string, string>;
    if (entry['message'] === message) return entry;
  }
  throw new Error(`it ended without saying: ${message}`);
}

beforeAll(async () => {
  bucket = bucketOf(await startS3());
  const { endpoint, region, credentials } = bucket.options;
  child = start(['--port=0', '--health-port=0', '--health-listen=127.0.0.1'], {
    LINUXKIT_S3_ENDPOINT: endpoint,
    LINUXKIT_S3_REGION: region,
    LINUXKIT_S3_BUCKET: bucket.options.bucket,
    LINUXKIT_S3_ACCESS_KEY_ID: credentials?.accessKeyId ?? '',
    LINUXKIT_S3_SECRET_ACCESS_KEY: credentials?.secretAccessKey ?? '',
    LINUXKIT_S3_CA_FILE: '',
  });
  const serving = await logged(child, 'boot registry: serving');
  child.stderr?.resume();
  registry = `http://${serving['address']}`;
  health = `http://${serving['health']}`;
});

afterAll(async () => {
  if (child.exitCode === null) child.kill('SIGKILL');
  await bucket[Symbol.asyncDispose]();
});

it('serves what is in the bucket, tells of it, and ends when it is asked to', async () => {
  const artifact = await makeArtifact(Buffer.from('kernel'), Buffer.from('initrd'));
  await storeArtifact(bucket.store, { namespace: 'tenant', image: 'web' }, artifact, deadline());
  const { digest, manifest } = artifact.record.bootImage;
  const answer = await fetch(`${registry}/v2/tenant/web/manifests/${digest}`);
  expect(await answer.text()).toBe(manifest);
  await waitFor('readiness', async () => (await fetch(`${health}/readyz`)).status === 200, {
    signal: deadline(),
    timeout: 15_000,
  });
  expect((await fetch(`${health}/healthz`)).status).toBe(200);
  const metrics = await (await fetch(`${health}/metrics`)).text();
  expect(metrics).toContain(
    'linuxkit_boot_registry_requests_total{route="manifest",method="GET",code="200"} 1',
  );
  expect(metrics).toContain(`linuxkit_boot_registry_sent_bytes_total{route="manifest"} ${manifest.length}`);

  const exited = once(child, 'exit', { signal: deadline(15_000) });
  child.kill('SIGTERM');
  expect(await exited).toEqual([0, null]);
});

it('is not ready while the bucket cannot be reached, and answers 503', async () => {
  const alone = start(['--port=0', '--health-port=0', '--health-listen=127.0.0.1'], {
    LINUXKIT_S3_ENDPOINT: 'http://127.0.0.1:1',
    LINUXKIT_S3_BUCKET: 'linuxkit',
    LINUXKIT_S3_ACCESS_KEY_ID: 'nobody',
    LINUXKIT_S3_SECRET_ACCESS_KEY: 'nothing',
  });
  try {
    const serving = await logged(alone, 'boot registry: serving');
    alone.stderr?.resume();
    const answer = await fetch(
      `http://${serving['address']}/v2/tenant/web/manifests/sha256:${'0'.repeat(64)}`,
    );
    expect(answer.status).toBe(503);
    const ready = await fetch(`http://${serving['health']}/readyz`);
    expect(ready.status).toBe(503);
    expect(await ready.text()).toContain('[-]storage ');
    expect((await fetch(`http://${serving['health']}/healthz`)).status).toBe(200);
  } finally {
    alone.kill('SIGKILL');
  }
});

it('says which setting is missing', async () => {
  const wrong = start([], { LINUXKIT_S3_ENDPOINT: 'not a URL' });
  const [said] = await Promise.all([text(wrong.stderr ?? Readable.from([])), once(wrong, 'exit')]);
  expect(wrong.exitCode).toBe(1);
  expect(said).toContain('LINUXKIT_S3_ENDPOINT');
  expect(said).toContain('LINUXKIT_S3_BUCKET: must name the bucket');
});
