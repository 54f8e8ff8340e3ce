import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { file } from '../../../e2e/images/entry.ts';
import { OciLayout } from '../../../e2e/images/oci-layout.ts';
import { pushImage } from '../../../e2e/images/oci-push.ts';
import { writeImage, writeIndex } from '../../../e2e/images/oci-writer.ts';
import { run } from '../../../e2e/process/run.ts';
import { silentReporter } from '../../../e2e/progress/reporter.ts';
import { type RegistryService, startRegistry } from '../../../e2e/services/registry.ts';
import { ensureTools } from '../../../e2e/tools/tools.ts';
import { RegistryClient } from '../client.ts';
import { parseReference } from '../reference.ts';
import type { ResolvedImage } from '../types.ts';
import { preparePolicy, type VerificationPolicy } from './policy.ts';
import { TestSigstore } from './test-sigstore.ts';
import { type VerifiedSignature, verifyImage } from './verify.ts';

const ISSUER = 'https://issuer.example';
const SUBJECT = 'https://ci.example/team/build.yaml';
/** cosign is compiled when this runs for the first time. */
const COMPILING = 3_600_000;
const signal = AbortSignal.timeout(COMPILING);

/** Flags by which cosign 3 signs as cosign 2 did. */
const OLD_FORM = ['--use-signing-config=false', '--new-bundle-format=false'];

let folder: string;
let cosign: string;
let registry: RegistryService;
let sigstore: TestSigstore;
let services: { readonly url: string } & AsyncDisposable;
let layout: OciLayout;
let publicKey: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cosign-'));
  ({ cosign } = await ensureTools(['cosign'], silentReporter, signal));
  registry = await startRegistry({}, undefined, signal);
  layout = new OciLayout(join(folder, 'layout'));
  sigstore = await TestSigstore.create();
  services = await sigstore.serve();
  await sign('generate-key-pair');
  publicKey = await readFile(join(folder, 'cosign.pub'), 'utf8');
  await writeFile(join(folder, 'trusted-root.json'), sigstore.trustedRoot);
  await writeFile(join(folder, 'no-services.json'), signingConfig());
  await writeFile(join(folder, 'services.json'), signingConfig(services.url));
}, COMPILING);

afterAll(async () => {
  await services[Symbol.asyncDispose]();
  await registry.stop();
  await rm(folder, { recursive: true });
});

/** Which services cosign asks (sigstore protobuf-specs, SigningConfig). */
function signingConfig(url?: string): string {
  const validFor = { start: new Date(Date.now() - 60_000).toISOString() };
  const service = url === undefined ? [] : [{ url, majorApiVersion: 1, validFor, operator: 'test' }];
  const any = { selector: 'ANY' };
  return JSON.stringify({
    mediaType: 'application/vnd.dev.sigstore.signingconfig.v0.2+json',
    caUrls: service,
    rekorTlogUrls: service,
    rekorTlogConfig: any,
    tsaConfig: any,
  });
}

/** A token of the issuer. Nobody checks its signature: the authority here believes everybody. */
function identityToken(): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: ISSUER, sub: SUBJECT, aud: 'sigstore', iat: now, exp: now + 3600 };
  return `${part({ alg: 'RS256' })}.${part(claims)}.${part('unsigned')}`;
}

async function sign(...args: readonly string[]): Promise<void> {
  // Nothing may be asked for on the network: trust is given, and updates are none of a test's business.
  const env = { COSIGN_PASSWORD: '', TUF_MIRROR: services.url, TUF_ROOT: join(folder, 'tuf'), HOME: folder };
  await run(cosign, args, { cwd: folder, env, signal });
}

/** An image of its own for each test, since signatures stay beside images. */
async function publish(repository: string, indexed = false): Promise<ResolvedImage> {
  const single = await writeImage(layout, { layers: [{ entries: [file('name', repository)] }] });
  const image = indexed ? await writeIndex(layout, [single]) : single;
  await pushImage(image, { registry: registry.host, repository, tag: 'v1' }, signal);
  await using client = new RegistryClient();
  const reference = parseReference(`${registry.host}/${repository}:v1`);
  return client.resolve(reference, { os: 'linux', architecture: 'amd64' }, signal);
}

function pinned({ reference, digest, index }: ResolvedImage): string {
  return `${reference.registry}/${reference.repository}@${index ?? digest}`;
}

async function verify(image: ResolvedImage, policy: VerificationPolicy): Promise<VerifiedSignature> {
  await using client = new RegistryClient();
  return await verifyImage(client, image, preparePolicy(policy), signal);
}

const KEY = ['--key', 'cosign.key', '--yes'];

describe('what cosign signed', () => {
  it.each([
    ['bundle', ['--signing-config', 'no-services.json']],
    ['simple', [...OLD_FORM, '--tlog-upload=false']],
  ])('with a key, as a %s, counts for that key alone', async (form, flags) => {
    const image = await publish(`key/${form}`, true);
    await expect(verify(image, { publicKeys: [publicKey] })).rejects.toThrow(/has no signature/);
    await sign('sign', ...KEY, ...flags, pinned(image));
    const verified = await verify(image, { publicKeys: [publicKey] });
    expect(verified).toMatchObject({ digest: image.index, form });
    const other = await writeOtherKey();
    await expect(verify(image, { publicKeys: [other] })).rejects.toMatchObject({
      code: 'VerificationFailed',
      message: expect.stringMatching(/none of the trusted keys/),
    });
  });

  it.each([
    ['bundle', () => ['--signing-config', 'services.json', '--trusted-root', 'trusted-root.json']],
    [
      'simple',
      () => [
        ...OLD_FORM,
        '--fulcio-url',
        services.url,
        '--rekor-url',
        services.url,
        '--trusted-root',
        'trusted-root.json',
      ],
    ],
  ])('with an identity, as a %s, counts for that identity alone', async (form, flags) => {
    const image = await publish(`identity/${form}`);
    await sign('sign', '--yes', '--identity-token', identityToken(), ...flags(), pinned(image));
    const policy = (subject: string): VerificationPolicy => ({
      identities: [{ issuer: ISSUER, subject }],
      trustedRoot: sigstore.trustedRoot,
    });
    expect(await verify(image, policy(SUBJECT))).toEqual({
      digest: image.digest,
      signer: `${SUBJECT} by ${ISSUER}`,
      form,
    });
    await expect(verify(image, policy('https://ci.example/other.yaml'))).rejects.toMatchObject({
      code: 'VerificationFailed',
    });
    const foreign = { ...policy(SUBJECT), trustedRoot: (await TestSigstore.create()).trustedRoot };
    await expect(verify(image, foreign)).rejects.toMatchObject({ code: 'VerificationFailed' });
  });

  it('does not count for another image to which it was carried', async () => {
    const signed = await publish('carried/signed');
    await sign('sign', ...KEY, ...OLD_FORM, '--tlog-upload=false', pinned(signed));
    const victim = await publish('carried/victim');
    const tag = (image: ResolvedImage): string => `${image.digest.replace(':', '-')}.sig`;
    const base = (image: ResolvedImage): string => `http://${registry.host}/v2/${image.reference.repository}`;
    const type = 'application/vnd.oci.image.manifest.v1+json';
    const stored = await fetch(`${base(signed)}/manifests/${tag(signed)}`, { headers: { accept: type } });
    const manifest = await stored.text();
    const { config, layers } = JSON.parse(manifest) as {
      config: { digest: string };
      layers: { digest: string }[];
    };
    for (const { digest } of [config, ...layers]) {
      const mount = `${base(victim)}/blobs/uploads/?mount=${digest}&from=${signed.reference.repository}`;
      expect((await fetch(mount, { method: 'POST' })).status).toBe(201);
    }
    const headers = { 'content-type': type };
    const put = await fetch(`${base(victim)}/manifests/${tag(victim)}`, {
      method: 'PUT',
      body: manifest,
      headers,
    });
    expect(put.status).toBe(201);
    await expect(verify(victim, { publicKeys: [publicKey] })).rejects.toMatchObject({
      code: 'VerificationFailed',
      message: expect.stringContaining(`it signs "${signed.digest}" and not this image`),
    });
  });
});

async function writeOtherKey(): Promise<string> {
  const prefix = join(folder, 'other');
  await run(cosign, ['generate-key-pair', '--output-key-prefix', prefix], {
    env: { COSIGN_PASSWORD: '' },
    signal,
  });
  const text = await readFile(`${prefix}.pub`, 'utf8');
  await rm(`${prefix}.key`);
  await rm(`${prefix}.pub`);
  return text;
}
