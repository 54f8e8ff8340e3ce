import { randomBytes } from 'node:crypto';
import { lstat, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { Component } from '../../e2e/process/component.ts';
import { run } from '../../e2e/process/run.ts';
import { waitFor } from '../../e2e/process/wait.ts';
import { silentReporter } from '../../e2e/progress/reporter.ts';
import { startS3 } from '../../e2e/services/s3.ts';
import { ensureTools } from '../../e2e/tools/tools.ts';
import { type BucketUnderTest, bucketOf } from '../storage/s3/bucket-under-test.ts';
import { type ReadOptions, StorageError } from '../storage/store.ts';
import { deadline } from '../storage/store-contract.ts';
import { type ArtifactUnderTest, makeArtifact, storeArtifact } from './artifact-under-test.ts';
import { ImageIndex } from './image-index.ts';
import { BootRegistry, type ObservedRequest } from './server.ts';

/** A real containerd pulls from a boot registry over a real S3 server: what a node does. */

const compiling = 900_000;
let bucket: BucketUnderTest;
let folder: string;
let containerd: Component;
let ctr: (...args: string[]) => Promise<string>;
let registry: BootRegistry;
let port: number;
let observed: ObservedRequest[] = [];
/** Turns the body of an object into what arrives of it. */
let damage: ((body: Readable) => Readable) | undefined;

const kernel = randomBytes(3_000_000);

beforeAll(async () => {
  const signal = AbortSignal.timeout(compiling);
  const tools = await ensureTools(['containerd', 'ctr'], silentReporter, signal);
  bucket = bucketOf(await startS3(silentReporter, signal));
  folder = await mkdtemp(join(tmpdir(), 'boot-pull-'));
  const socket = join(folder, 'containerd.sock');
  const config = join(folder, 'config.toml');
  await writeFile(
    config,
    `version = 3
root = '${folder}/root'
state = '${folder}/state'
disabled_plugins = ['io.containerd.internal.v1.opt', 'io.containerd.grpc.v1.cri', 'io.containerd.cri.v1.images', 'io.containerd.cri.v1.runtime']
[grpc]
address = '${socket}'
[plugins.'io.containerd.transfer.v1.local']
unpack_config = [{platform = 'linux/amd64', snapshotter = 'native', differ = 'walking'}]
`,
  );
  const logFile = join(folder, 'containerd.log');
  const args = ['--config', config];
  containerd = await Component.start({
    name: 'containerd',
    command: tools.containerd,
    args,
    logFile,
    survives: false,
  });
  ctr = (...rest) => run(tools.ctr, ['--address', socket, ...rest], { signal: deadline(60_000) });
  await waitFor('containerd', () => ctr('version').then(() => true), {
    signal,
    timeout: 30_000,
    watched: [containerd],
  });

  const { store } = bucket;
  const reader = {
    head: store.head.bind(store),
    list: store.list.bind(store),
    get: async (key: string, options: ReadOptions) => {
      const { info, body } = await store.get(key, options);
      return { info, body: damage === undefined || key.endsWith('.json') ? body : damage(body) };
    },
  };
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const index = new ImageIndex(reader, { now: () => performance.now(), log });
  registry = new BootRegistry({
    index,
    store: reader,
    log,
    observe: (request) => void observed.push(request),
  });
  port = await registry.listen(0, '127.0.0.1');
}, compiling);

afterAll(async () => {
  await registry.close();
  containerd.kill('SIGTERM');
  await waitFor('the end of containerd', () => !containerd.isRunning(), {
    signal: deadline(),
    timeout: 20_000,
  });
  await bucket[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

beforeEach(() => {
  [observed, damage] = [[], undefined];
});

/** Stores an artifact with the common kernel and an initrd of its own, and names its image. */
async function image(name: string): Promise<{ reference: string; artifact: ArtifactUnderTest }> {
  const artifact = await makeArtifact(kernel, randomBytes(2_000_001));
  await storeArtifact(bucket.store, { namespace: 'tenant', image: name }, artifact, deadline());
  return { reference: `127.0.0.1:${port}/tenant/${name}@${artifact.record.bootImage.digest}`, artifact };
}

/** The folder that the snapshotter unpacked the youngest image into. */
async function unpackedImage(): Promise<string> {
  const snapshots = join(folder, 'root/io.containerd.snapshotter.v1.native/snapshots');
  const numbers = (await readdir(snapshots)).map(Number);
  return join(snapshots, String(Math.max(...numbers)));
}

const pull = (reference: string) => ctr('images', 'pull', '--snapshotter', 'native', reference);

it('is pulled without any configuration, though containerd begins with TLS', async () => {
  const { reference, artifact } = await image('web');
  await pull(reference);
  expect(await readFile(join(folder, 'containerd.log'), 'utf8')).toContain('host will try HTTPS first');
  const unpacked = await unpackedImage();
  for (const file of ['kernel', 'initrd.img'] as const) {
    const path = join(unpacked, 'boot', file);
    expect(Buffer.compare(await readFile(path), artifact.files[file])).toBe(0);
    const { uid, gid, mode } = await lstat(path);
    expect({ uid, gid, mode: mode & 0o7777 }).toEqual({ uid: 107, gid: 107, mode: 0o444 });
  }
  expect(observed.map(({ route, method, status }) => `${method} ${route} ${status}`).toSorted()).toEqual([
    'GET blob 200',
    'GET blob 200',
    'GET blob 200',
    'GET manifest 200',
    'HEAD manifest 200',
  ]);
});

it('sends a kernel once to a node that has it from another image', async () => {
  await pull((await image('first')).reference);
  observed = [];
  const { reference, artifact } = await image('second');
  await pull(reference);
  const sent = observed.filter(({ route }) => route === 'blob').map(({ bytes }) => bytes);
  expect(Math.max(...sent)).toBe(artifact.layers['initrd.img'].length);
  expect(sent).toHaveLength(2);
});

it('is pulled although a transfer breaks off in the middle: containerd goes on where it was', async () => {
  const { reference } = await image('cut');
  let cuts = 0;
  damage = (body) => {
    if (cuts > 0) return body;
    cuts += 1;
    const half = async function* () {
      let seen = 0;
      for await (const chunk of body as AsyncIterable<Buffer>) {
        yield chunk;
        seen += chunk.length;
        if (seen > 1_000_000) throw new StorageError('StorageUnavailable', 'connection reset');
      }
    };
    return Readable.from(half(), { objectMode: false });
  };
  await pull(reference);
  expect(cuts).toBe(1);
  expect(observed.map(({ status }) => status)).toContain(206);
});

it('is not pulled when what is stored has changed', async () => {
  const { reference } = await image('rotten');
  damage = (body) => {
    const flipped = async function* () {
      for await (const chunk of body as AsyncIterable<Buffer>) {
        const copy = Buffer.from(chunk);
        copy[0] = (copy[0] ?? 0) ^ 1;
        yield copy;
      }
    };
    return Readable.from(flipped(), { objectMode: false });
  };
  await expect(pull(reference)).rejects.toThrow();
  expect(await ctr('images', 'ls', '-q')).not.toContain('/tenant/rotten@');
});
