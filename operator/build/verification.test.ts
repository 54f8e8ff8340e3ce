import { generateKeyPairSync, sign } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RegistryClient } from '../oci/client.ts';
import { MEDIA_TYPES } from '../oci/manifest.ts';
import { TestRegistry } from '../oci/registry/test-registry.ts';
import { preparePolicy } from '../oci/signatures/policy.ts';
import type { Digest } from '../oci/types.ts';
import type { BuildProgress } from './progress.ts';
import { type ResolvedInputs, resolveInputs } from './resolve.ts';
import { policyFor, verifyInputs } from './verification.ts';

const SIMPLE_SIGNING = 'application/vnd.dev.cosign.simplesigning.v1+json';
const never = new AbortController().signal;
const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
const POLICY = { publicKeys: [publicKey.export({ type: 'spki', format: 'pem' }).toString()] };
const retry = { attempts: 1, firstDelay: 0, maxDelay: 0, maxRetryAfter: 0 };

describe('policyFor', () => {
  it.each([[undefined], [{}], [{ image: [], org: [] }]])('wants nothing of %j', (trust) => {
    expect(policyFor(trust, undefined)).toBeUndefined();
  });

  it('reads the policy where images are named', () => {
    expect(policyFor({ org: ['team'] }, POLICY)?.keys).toHaveLength(1);
  });

  it.each([
    [
      'images without keys',
      { image: ['team/app'] },
      undefined,
      'InputVerificationFailed',
      /team\/app.*no public key/,
    ],
    [
      'organisations without keys',
      { org: ['team'] },
      undefined,
      'InputVerificationFailed',
      /team.*no public key/,
    ],
    ['keys without images', {}, POLICY, 'InvalidLinuxKitConfig', /would verify nothing/],
    ['no policy at all', { org: ['team'] }, {}, 'InvalidPolicy', /neither a public key nor an identity/],
    [
      'a key that is none',
      { org: ['team'] },
      { publicKeys: ['x'] },
      'InvalidPolicy',
      /public key 1 is no PEM/,
    ],
  ] as const)('refuses %s', (_, trust, policy, code, message) => {
    expect(() => policyFor(trust, policy)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    );
  });
});

describe('verifyInputs', () => {
  let registry: TestRegistry;
  let client: RegistryClient;
  let digest: Digest;
  const events: BuildProgress[] = [];

  beforeEach(async () => {
    registry = await TestRegistry.start();
    client = new RegistryClient({ retry });
    digest = registry.addImage([Buffer.from('layer')], { tags: ['1'] }).manifest.digest;
    events.length = 0;
  });

  afterEach(async () => {
    await client[Symbol.asyncDispose]();
    await registry[Symbol.asyncDispose]();
  });

  const environment = () => ({
    images: client,
    signal: never,
    report: (event: BuildProgress) => void events.push(event),
  });

  function inputs(
    ...places: readonly (readonly [location: string, repository: string])[]
  ): Promise<ResolvedInputs> {
    const locations = places.map(([location, repository]) => ({
      location,
      image: `${registry.name}/${repository}:1`,
    }));
    return resolveInputs(locations, { ...environment(), architecture: 'amd64' });
  }

  /** As cosign 2 leaves a signature; the registry keeps one set of tags for all repositories. */
  function storeSignature(about: Digest = digest): void {
    const critical = {
      identity: { 'docker-reference': '' },
      image: { 'docker-manifest-digest': about },
      type: 'cosign container image signature',
    };
    const payload = Buffer.from(JSON.stringify({ critical, optional: null }));
    const signature = sign('sha256', payload, privateKey).toString('base64');
    const layer = {
      ...registry.addBlob(payload, SIMPLE_SIGNING),
      annotations: { 'dev.cosignproject.cosign/signature': signature },
    };
    const config = registry.addBlob(Buffer.from('{}'), MEDIA_TYPES.ociConfig);
    const manifest = { schemaVersion: 2, mediaType: MEDIA_TYPES.ociManifest, config, layers: [layer] };
    registry.addManifest(manifest, MEDIA_TYPES.ociManifest, signatureTag());
  }

  const signatureTag = (): string => `${digest.replace(':', '-')}.sig`;
  const signatureRequests = (): number =>
    registry.requests.filter(({ path }) => path.endsWith(signatureTag())).length;
  const policy = preparePolicy(POLICY);

  it('asks for signatures of nothing where nothing is asked for', async () => {
    const resolved = await inputs(['kernel', 'team/app']);
    expect(await verifyInputs(undefined, undefined, resolved, environment())).toBe(resolved);
    expect(signatureRequests()).toBe(0);
  });

  it('says of each input that trust names who signed it, and of no other', async () => {
    storeSignature();
    const resolved = await inputs(
      ['kernel', 'team/app'],
      ['init[0]', 'other/app'],
      ['services[0]', 'team/app'],
    );
    const verified = await verifyInputs({ org: ['team'] }, policy, resolved, environment());
    const signer = expect.stringMatching(/^key [0-9a-f]{16}$/);
    const verifiedBy = { digest, signer, form: 'simple' };
    const [kernel, init, service] = resolved.inputs;
    expect(verified.inputs).toEqual([{ ...kernel, verifiedBy }, init, { ...service, verifiedBy }]);
    expect(verified.at('kernel')).toBe(resolved.at('kernel'));
    expect(events.filter(({ kind }) => kind === 'verified')).toEqual([
      { kind: 'verified', location: 'kernel', signer },
      { kind: 'verified', location: 'services[0]', signer },
    ]);
    expect(signatureRequests()).toBe(1);
  });

  it('wants an image signed also where a volume holds the image itself', async () => {
    const place = { location: 'volumes[0]', image: `${registry.name}/team/app:1` };
    const layout = { platforms: undefined };
    const resolve = () => resolveInputs([{ ...place, layout }], { ...environment(), architecture: 'amd64' });
    await expect(
      verifyInputs({ org: ['team'] }, policy, await resolve(), environment()),
    ).rejects.toMatchObject({
      code: 'InputVerificationFailed',
      message: expect.stringMatching(`^volumes\\[0\\]: image .*team/app:1 \\(${digest}\\) has no signature`),
    });
    storeSignature();
    const { inputs: verified } = await verifyInputs(
      { org: ['team'] },
      policy,
      await resolve(),
      environment(),
    );
    expect(verified).toMatchObject([{ location: 'volumes[0]', digest, verifiedBy: { digest } }]);
  });

  it('names place, image, digest and reason of one that is not signed', async () => {
    const resolved = await inputs(['services[3]', 'team/app']);
    await expect(verifyInputs({ org: ['team'] }, policy, resolved, environment())).rejects.toMatchObject({
      step: 'verify',
      code: 'InputVerificationFailed',
      message: expect.stringMatching(
        `^services\\[3\\]: image ${registry.name}/team/app:1 \\(${digest}\\) has no signature`,
      ),
    });
  });

  it('names all images that are not signed, in the order of the file', async () => {
    const places = ['kernel', 'init[0]', 'init[1]', 'onboot[0]', 'services[0]', 'services[1]'];
    const resolved = await inputs(...places.map((place, index) => [place, `team/app${index}`] as const), [
      'services[2]',
      'team/app0',
    ]);
    const reason = (place: string, index: number): string =>
      `${place}: image ${registry.name}/team/app${index}:1 (${digest}) has no signature; sign it with cosign, or do not ask for it to be verified`;
    await expect(verifyInputs({ org: ['team'] }, policy, resolved, environment())).rejects.toMatchObject({
      code: 'InputVerificationFailed',
      message: `6 images are not verified: ${places.slice(0, 5).map(reason).join('; ')}; and 1 more`,
    });
  });

  it.each([
    [
      'is no manifest',
      (): void => void registry.addManifest('{"layers":', MEDIA_TYPES.ociManifest, signatureTag()),
    ],
    [
      'is gone',
      () => {
        storeSignature();
        registry.misbehave((request, response) => {
          if (request.url?.includes('/blobs/') !== true) return false;
          response.writeHead(404).end();
          return true;
        });
      },
    ],
    [
      'is of other bytes than its digest says',
      () => {
        storeSignature();
        registry.misbehave((request, response) => {
          if (request.url?.includes('/blobs/') !== true) return false;
          response.writeHead(200).end(Buffer.alloc(64));
          return true;
        });
      },
    ],
  ])('does not use an image whose signature %s', async (_, damage) => {
    const resolved = await inputs(['kernel', 'team/app']);
    damage();
    await expect(verifyInputs({ org: ['team'] }, policy, resolved, environment())).rejects.toMatchObject({
      step: 'verify',
      code: 'InputVerificationFailed',
      message: expect.stringMatching(
        `^kernel: image .*team/app:1 \\(${digest}\\): its signatures cannot be read`,
      ),
    });
  });

  it('leaves to the registry what is its fault: that may pass', async () => {
    const resolved = await inputs(['kernel', 'team/app']);
    registry.misbehave((_, response) => {
      response.writeHead(503).end();
      return true;
    });
    await expect(verifyInputs({ org: ['team'] }, policy, resolved, environment())).rejects.toMatchObject({
      code: 'RegistryUnreachable',
    });
  });
});
