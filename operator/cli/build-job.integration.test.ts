import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ImagePublisher, INIT_ENTRIES, moduleEntries } from '../../e2e/build/image-publisher.ts';
import { CertificateAuthority } from '../../e2e/cluster/certificates.ts';
import { program } from '../../e2e/images/entry.ts';
import { OciLayout } from '../../e2e/images/oci-layout.ts';
import { type RegistryService, startRegistry } from '../../e2e/services/registry.ts';
import { startS3 } from '../../e2e/services/s3.ts';
import { COSIGN_DEADLINE, Signer } from '../../e2e/signing/signer.ts';
import { BUILD_PATHS } from '../api/names.ts';
import type { BuildOutcome, BuildRecord } from '../build/record.ts';
import type { BuildRequest } from '../build/request.ts';
import { sumOf } from '../build/sum.ts';
import { readInitramfs } from '../initramfs/reader.ts';
import { unpack } from '../initramfs/unpack.ts';
import { RegistryClient } from '../oci/client.ts';
import { parseReference } from '../oci/reference.ts';
import { CredentialStore } from '../oci/registry/credentials.ts';
import { parseDockerConfig } from '../oci/registry/docker-config.ts';
import { TestRegistry } from '../oci/registry/test-registry.ts';
import { EndpointError } from '../storage/endpoint/endpoint-error.ts';
import { ArtifactServer } from '../storage/endpoint/server.ts';
import { ArtifactService } from '../storage/endpoint/service.ts';
import { type BucketUnderTest, bucketOf } from '../storage/s3/bucket-under-test.ts';
import { S3Presigner } from '../storage/s3/presign.ts';
import { type BuildPaths, runBuildJob } from './build-job.ts';

const TOKEN = 'token-of-web';

let folder: string;
let bucket: BucketUnderTest;
let registry: RegistryService;
let boots: RegistryService;
let secure: RegistryService;
let server: ArtifactServer;
let images: ImagePublisher;
let endpoint: BuildRequest['endpoint'];
let config: Record<string, unknown>;
let paths: BuildPaths;

const deadline = (): AbortSignal => AbortSignal.timeout(60_000);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'build-job-'));
  [registry, bucket] = [await startRegistry(), bucketOf(await startS3())];
  boots = await startRegistry({ authentication: true });
  const authority = await CertificateAuthority.create(join(folder, 'ca'), 'test', deadline());
  const names = ['IP:127.0.0.1'];
  const files = await authority.issue(
    { file: 'endpoint', commonName: 'e', names, usages: ['serverAuth'] },
    deadline(),
  );
  const certificate = {
    cert: await readFile(files.certificate, 'utf8'),
    key: await readFile(files.key, 'utf8'),
  };
  secure = await startRegistry({ authentication: true, certificate });
  server = new ArtifactServer({
    certificate,
    service: new ArtifactService({
      store: bucket.store,
      presigner: new S3Presigner(bucket.client, bucket.options.bucket, { seconds: 60 }),
      nowSeconds: () => performance.now() / 1000,
    }),
    identify: async (token) => {
      if (token !== TOKEN) throw new EndpointError('Unauthenticated', 'the token is not valid');
      return { namespace: 'tenant', image: 'web', podName: 'web-1', podUid: 'u1' };
    },
    log: { info: () => undefined, warn: () => undefined, error: () => undefined },
  });
  const url = `https://127.0.0.1:${await server.listen(0, '127.0.0.1')}`;
  endpoint = { url, caBundle: await readFile(authority.files.certificate, 'utf8') };
  images = new ImagePublisher(new OciLayout(join(folder, 'layout')), registry.host);
  config = {
    kernel: { image: await images.publishKernel('kernel', moduleEntries('6.1.0')), cmdline: 'console=ttyS0' },
    init: [await images.publish('init', [INIT_ENTRIES])],
    services: [
      {
        name: 'web',
        image: await images.publish('web', [[program('bin/web', 'web')]]),
        command: ['/bin/web'],
      },
    ],
  };
});

afterAll(async () => {
  await server.close();
  await bucket[Symbol.asyncDispose]();
  await Promise.all([registry.stop(), boots.stop(), secure.stop()]);
  await rm(folder, { recursive: true });
});

beforeEach(async () => {
  const root = await mkdtemp(join(folder, 'pod-'));
  paths = Object.fromEntries(
    Object.entries(BUILD_PATHS).map(([name, path]) => [name, join(root, path)]),
  ) as BuildPaths;
  for (const path of [paths.request, paths.token, paths.terminationMessage])
    await mkdir(dirname(path), { recursive: true });
  for (const path of [paths.work, paths.config, paths.files]) await mkdir(path, { recursive: true });
  await writeFile(paths.token, TOKEN);
});

interface Ended {
  readonly code: number;
  readonly outcome: BuildOutcome;
}

async function job(request: Partial<BuildRequest>, signal: AbortSignal = deadline()): Promise<Ended> {
  const whole: BuildRequest = {
    schema: 'linuxkit.dev/build-request/v1',
    namespace: 'tenant',
    image: 'web',
    architecture: 'amd64',
    compression: 'auto',
    config: { inline: config },
    files: [],
    pullSecrets: [],
    endpoint,
    insecureRegistries: [],
    ...request,
  };
  await writeFile(paths.request, JSON.stringify(whole));
  const log = new PassThrough().resume();
  const code = await runBuildJob(paths, signal, { log, environment: {} });
  expect(await readdir(paths.work)).toEqual([]);
  return { code, outcome: JSON.parse(await readFile(paths.terminationMessage, 'utf8')) as BuildOutcome };
}

async function succeed(
  request: Partial<BuildRequest>,
): Promise<Extract<BuildOutcome, { result: 'succeeded' }>> {
  const { code, outcome } = await job(request);
  if (outcome.result === 'failed') throw new Error(outcome.failure.message);
  expect(code).toBe(0);
  return outcome;
}

async function stored(key: string): Promise<string> {
  const { body } = await bucket.store.get(key, { signal: deadline() });
  return text(body);
}

/** Puts other bytes under a key, as a disk might that went bad; nothing at all where there are to be none. */
async function replace(key: string, change: (bytes: Buffer) => Buffer | undefined): Promise<void> {
  const options = { signal: deadline() };
  const { body } = await bucket.store.get(key, options);
  const bytes = change(await buffer(body));
  await bucket.store.delete([key], options);
  if (bytes === undefined) return;
  await bucket.store.put(key, { ...sumOf(bytes), open: () => Readable.from([bytes]) }, options);
}

async function keys(prefix: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { key } of bucket.store.list(prefix, { signal: deadline() })) found.push(key);
  return found;
}

describe('build-job', () => {
  it('stores an artifact below its namespace and reports its digest', async () => {
    const outcome = await succeed({});
    expect(outcome).toMatchObject({ reused: false });
    expect(outcome.bytesPulled).toBeGreaterThan(0);
    expect(outcome.bytesStored).toBeGreaterThan(0);
    const phases = ['configure', 'resolve', 'verify', 'assemble', 'pull', 'upload'];
    expect(Object.keys(outcome.seconds)).toEqual(phases);
    const artifact = `tenant/web/${outcome.digest.replace(':', '-')}`;
    const record = JSON.parse(await stored(`${artifact}/build.json`)) as BuildRecord;
    expect(record).toMatchObject({ digest: outcome.digest, compression: 'zstd', cmdline: 'console=ttyS0' });
    expect(await stored(`${artifact}/cmdline`)).toBe('console=ttyS0');
    expect(await stored(`${artifact}/kernel`)).toBe('a kernel');
    expect((await keys('')).filter((key) => !key.startsWith('tenant/'))).toEqual([]);
  });

  it('finds what it built before, and uses the cache for what changed', async () => {
    await succeed({});
    const before = await keys('tenant/web/');
    const again = await succeed({});
    expect(again).toMatchObject({ reused: true, bytesPulled: 0, bytesStored: 0 });
    expect(again).not.toHaveProperty('cache');
    expect(await keys('tenant/web/')).toEqual(before);
    const changed = await succeed({
      config: { inline: { ...config, files: [{ path: 'etc/motd', contents: 'hello' }] } },
    });
    expect(changed).toMatchObject({ reused: false, bytesPulled: 0, cache: { misses: 0 } });
    expect(changed.cache?.hits).toBeGreaterThan(0);
    expect(changed.cache?.bytes).toBeGreaterThan(0);
    expect(changed.digest).not.toBe(again.digest);
  });

  it.each<[string, (bytes: Buffer) => Buffer | undefined]>([
    [
      'a flipped bit',
      (bytes) => bytes.with(bytes.length >> 1, (bytes[bytes.length >> 1] ?? 0) ^ 1) as Buffer,
    ],
    ['a missing end', (bytes) => bytes.subarray(0, 10)],
    ['a missing entry', () => undefined],
    ['more than was there', (bytes) => Buffer.concat([bytes, Buffer.from('x')])],
  ])('makes anew what the bucket has with %s, and then has it whole', async (_, damage) => {
    const inline = { ...config, files: [{ path: 'etc/motd', contents: 'whole' }] };
    const forget = async (): Promise<void> => {
      await bucket.store.delete(await keys('tenant/_cache/results/'), { signal: deadline() });
    };
    const whole = await succeed({ config: { inline } });
    await forget();
    const members = await keys('tenant/_cache/members/');
    expect(members.length).toBeGreaterThan(3);
    for (const key of members) await replace(key, damage);
    const again = await succeed({ config: { inline } });
    expect(again).toMatchObject({ reused: false, digest: whole.digest });
    expect(again.cache?.misses).toBeGreaterThan(0);
    await forget();
    const mended = await succeed({ config: { inline } });
    expect(mended).toMatchObject({ digest: whole.digest, bytesPulled: 0, cache: { misses: 0 } });
  });

  it('holds to the limits of its request', async () => {
    const { outcome } = await job({ limits: { maxManifestBytes: 1 } });
    expect(outcome).toMatchObject({
      result: 'failed',
      failure: { reason: 'LimitExceeded', message: expect.stringContaining('maxManifestBytes') },
    });
  });

  it('takes files from mounted keys, and YAML from a mounted configuration', async () => {
    await writeFile(join(paths.config, 'image.yml'), `${JSON.stringify(config)}\n`);
    await mkdir(join(paths.files, '0'));
    await writeFile(join(paths.files, '0', 'password'), 'secret');
    const files = [{ path: '/etc/app/password', mode: '0400', file: '0/password' }];
    const { digest } = await succeed({ config: { file: 'image.yml' }, files });
    const key = `tenant/web/${digest.replace(':', '-')}/initrd.img`;
    const { body } = await bucket.store.get(key, { signal: deadline() });
    const chunks: Buffer[] = [];
    for await (const chunk of body) chunks.push(chunk as Buffer);
    const { nodes } = unpack(readInitramfs(Buffer.concat(chunks)));
    expect(nodes.get('etc/app/password')).toMatchObject({ mode: 0o400, data: Buffer.from('secret') });

    await writeFile(join(paths.files, '0', 'password'), 'another');
    expect((await succeed({ config: { file: 'image.yml' }, files })).digest).not.toBe(digest);
  });
});

describe('build-job and registries', () => {
  it(
    'asks mirrors first, where signatures are too, and says who signed what it takes',
    async () => {
      await using signer = await Signer.create(AbortSignal.timeout(COSIGN_DEADLINE));
      const service = await images.publish('team/signed', [[program('bin/web', 'signed')]]);
      const name = `${registry.host}/team/signed`;
      // Answers, and has nothing.
      await using upstream = await TestRegistry.start();
      const mirrored = { registryMirrors: { [upstream.name]: [registry.host] } };
      const unverified = {
        ...config,
        services: [{ name: 'web', image: `${upstream.name}/team/signed:1`, command: ['/bin/web'] }],
      };
      const first = await succeed({ ...mirrored, config: { inline: unverified } });
      expect(first).not.toHaveProperty('verifiedBy');

      await mkdir(join(paths.verification, 'keys', '0'), { recursive: true });
      await writeFile(join(paths.verification, 'keys', '0', 'cosign.pub'), signer.publicKey);
      const trusting = {
        ...mirrored,
        config: { inline: { ...unverified, trust: { image: [`${upstream.name}/team/signed`] } } },
        verification: { publicKeys: [{ file: 'keys/0/cosign.pub' }], identities: [] },
      };
      const refused = await job(trusting);
      expect(refused.code).toBe(65);
      expect(refused.outcome).toMatchObject({
        failure: {
          step: 'verify',
          reason: 'InputVerificationFailed',
          message: expect.stringMatching(
            /^services\[0\]: image .*\/team\/signed:1 \(sha256:.*has no signature/,
          ),
        },
      });

      await using client = new RegistryClient();
      const digest = await client.resolveDigest(parseReference(service), deadline());
      await signer.signWithKey(`${name}@${digest}`, 'bundle', deadline());
      // The content is what it was, and so is its record; who signed it is told all the same.
      const { verifiedBy, ...second } = await succeed(trusting);
      expect(second).toMatchObject({ digest: first.digest, bytesStored: 0 });
      expect(verifiedBy).toEqual({ 'services[0]': expect.stringMatching(/^key [0-9a-f]{16}$/) });
    },
    COSIGN_DEADLINE,
  );

  it('fails over verification material that is not there', async () => {
    const inline = { ...config, trust: { org: ['team'] } };
    const verification = { publicKeys: [{ file: 'keys/0/cosign.pub' }], identities: [] };
    const { code, outcome } = await job({ config: { inline }, verification });
    expect(code).toBe(65);
    expect(outcome).toMatchObject({
      failure: { reason: 'InvalidLinuxKitConfig', message: expect.stringContaining('keys/0/cosign.pub') },
    });
  });
});

describe('build-job and a registry to boot from', () => {
  const bootImage = (path: string, pushSecret?: string, { host } = boots) => ({
    bootImage: {
      repository: `${host}/${path}`,
      ...(pushSecret === undefined ? {} : { pushSecret }),
    },
  });

  async function mountPushSecret(
    password = boots.credentials?.password,
    { host, credentials } = boots,
  ): Promise<void> {
    const auths = { [host]: { username: credentials?.username, password } };
    await mkdir(paths.pushSecret, { recursive: true });
    await writeFile(join(paths.pushSecret, '.dockerconfigjson'), JSON.stringify({ auths }));
  }

  /** The status of a pull by digest. */
  async function pulled(path: string, digest: string): Promise<number> {
    const { username = '', password = '' } = boots.credentials ?? {};
    const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
    const url = `http://${boots.host}/v2/${path}/manifests/${digest}`;
    const accept = 'application/vnd.oci.image.manifest.v1+json';
    const { status } = await fetch(url, { headers: { authorization, accept }, signal: deadline() });
    return status;
  }

  it('pushes the boot image there when it is stored, and again elsewhere when nothing is built', async () => {
    await mountPushSecret();
    const inline = { ...config, files: [{ path: 'etc/pushed', contents: 'x' }] };
    const first = await succeed({ config: { inline }, ...bootImage('one', 'push') });
    const key = `tenant/web/${first.digest.replace(':', '-')}/build.json`;
    const record = await stored(key);
    const { digest } = (JSON.parse(record) as BuildRecord).bootImage;
    expect(await pulled('one', digest)).toBe(200);
    expect(await pulled('two', digest)).toBe(404);

    const again = await succeed({ config: { inline }, ...bootImage('two', 'push') });
    expect(again).toMatchObject({ digest: first.digest, reused: true, bytesStored: 0 });
    expect(await pulled('two', digest)).toBe(200);
    // Nothing of the artifact says where it was pushed.
    expect(await stored(key)).toBe(record);
  });

  it('has not succeeded while it cannot push, though the artifact is stored', async () => {
    const inline = { ...config, files: [{ path: 'etc/not-pushed', contents: 'x' }] };
    await mountPushSecret('s3cr3t');
    const refused = await job({ config: { inline }, ...bootImage('three', 'push') });
    expect(refused.code).toBe(65);
    expect(refused.outcome).toMatchObject({
      result: 'failed',
      failure: {
        step: 'upload',
        reason: 'RegistryUnauthorized',
        message: expect.stringMatching(/^push to .*\/three: blob sha256:.*\(401/) as string,
      },
    });
    expect(JSON.stringify(refused.outcome)).not.toContain('s3cr3t');

    const away = { bootImage: { repository: '127.0.0.1:1/three' } };
    const lost = await job({ config: { inline }, ...away });
    expect(lost.code).toBe(75);
    expect(lost.outcome).toMatchObject({ failure: { step: 'upload', reason: 'BootImagePushFailed' } });

    await mountPushSecret();
    expect(await succeed({ config: { inline }, ...bootImage('three', 'push') })).toMatchObject({
      reused: true,
    });
  });

  it('pushes over TLS, by the authority that it was given, and to no registry that this does not vouch for', async () => {
    const { host, credentials } = secure;
    await mountPushSecret(credentials?.password, secure);
    const inline = { ...config, files: [{ path: 'etc/pushed-over-tls', contents: 'x' }] };
    const request = { config: { inline }, ...bootImage('five', 'push', secure) };
    const authority = { registryAuthorities: { [host]: endpoint.caBundle } };

    const elsewhere = await CertificateAuthority.create(join(folder, 'other-ca'), 'other', deadline());
    const strange = await readFile(elsewhere.files.certificate, 'utf8');
    const untrusted = await job({ ...request, registryAuthorities: { [host]: strange } });
    expect(untrusted.code).toBe(75);
    expect(untrusted.outcome).toMatchObject({
      failure: {
        step: 'upload',
        reason: 'BootImagePushFailed',
        message: expect.stringMatching(/^push to .*\/five: .*certificate/) as string,
      },
    });

    await mountPushSecret('s3cr3t', secure);
    expect((await job({ ...request, ...authority })).outcome).toMatchObject({
      failure: { step: 'upload', reason: 'RegistryUnauthorized' },
    });

    await mountPushSecret(credentials?.password, secure);
    const { digest } = await succeed({ ...request, ...authority });
    const record = await stored(`tenant/web/${digest.replace(':', '-')}/build.json`);
    const { bootImage: pushed } = JSON.parse(record) as BuildRecord;
    const auths = { [host]: { username: credentials?.username, password: credentials?.password } };
    await using client = new RegistryClient({
      certificateAuthorities: new Map([[host, endpoint.caBundle]]),
      credentials: new CredentialStore([parseDockerConfig(JSON.stringify({ auths }), 'test')]),
    });
    const { bytes } = await client.fetchDocument(parseReference(`${host}/five@${pushed.digest}`), deadline());
    expect(bytes.toString()).toBe(pushed.manifest);
  });

  it('does not show it the credentials to pull with', async () => {
    const { username, password } = boots.credentials ?? {};
    const auths = { [boots.host]: { username, password } };
    await mkdir(join(paths.pullSecrets, 'mine'), { recursive: true });
    await writeFile(join(paths.pullSecrets, 'mine', '.dockerconfigjson'), JSON.stringify({ auths }));
    const { outcome } = await job({ pullSecrets: ['mine'], ...bootImage('four') });
    expect(outcome).toMatchObject({ failure: { reason: 'RegistryUnauthorized' } });
  });
});

describe('build-job fails', () => {
  const failed = (reason: string, message: RegExp) => ({
    result: 'failed',
    failure: { reason, message: expect.stringMatching(message) as string },
  });

  it('for good over a mounted configuration, with line and column', async () => {
    await writeFile(join(paths.config, 'image.yml'), 'kernel:\n  imagee: x\n');
    const { code, outcome } = await job({ config: { file: 'image.yml' } });
    expect(code).toBe(65);
    expect(outcome).toMatchObject(failed('InvalidLinuxKitConfig', /image\.yml:2:3.*imagee/));
  });

  it('for good over an image that is not there, and stores nothing', async () => {
    const before = await keys('');
    const { code, outcome } = await job({
      config: { inline: { kernel: { image: `${registry.host}/none:1` } } },
    });
    expect(code).toBe(65);
    expect(outcome).toMatchObject(failed('ImageNotFound', /none:1/));
    expect(await keys('')).toEqual(before);
  });

  it('for now over a registry that does not answer', async () => {
    const { code, outcome } = await job({ config: { inline: { kernel: { image: '127.0.0.1:1/x:1' } } } });
    expect(code).toBe(75);
    expect(outcome).toMatchObject(failed('RegistryUnreachable', /127\.0\.0\.1:1/));
  });

  it('over a token that the endpoint does not know', async () => {
    await writeFile(paths.token, 'another');
    const inline = { ...config, files: [{ path: 'etc/never-built', contents: 'x' }] };
    const { code, outcome } = await job({ config: { inline } });
    expect(code).toBe(65);
    expect(outcome).toMatchObject({ result: 'failed', failure: { reason: 'StorageDenied' } });
  });

  it('over an image of another name', async () => {
    const inline = { ...config, files: [{ path: 'etc/of-another', contents: 'x' }] };
    const { code, outcome } = await job({ image: 'db', config: { inline } });
    expect(code).toBe(65);
    expect(outcome).toMatchObject({ result: 'failed', failure: { reason: 'StorageDenied' } });
    expect(await keys('tenant/db/')).toEqual([]);
  });

  it('for now when it is told to stop', async () => {
    const { code, outcome } = await job({}, AbortSignal.abort());
    expect(code).toBe(75);
    expect(outcome).toMatchObject(failed('Cancelled', /cancelled/));
  });

  it('over pull secrets that are none, without telling what is in them', async () => {
    await mkdir(join(paths.pullSecrets, 'mine'), { recursive: true });
    await writeFile(join(paths.pullSecrets, 'mine', '.dockerconfigjson'), '{"auths": "s3cr3t"}');
    const { code, outcome } = await job({ pullSecrets: ['mine'] });
    expect(code).toBe(65);
    expect(outcome).toMatchObject(failed('RegistryUnauthorized', /pull secret mine/));
    expect(JSON.stringify(outcome)).not.toContain('s3cr3t');
  });
});
