import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RegistryService, startRegistry } from '../../e2e/services/registry.ts';
import { RegistryClient } from '../oci/client.ts';
import { MEDIA_TYPES } from '../oci/manifest.ts';
import { PushClient } from '../oci/push-client.ts';
import { parseReference } from '../oci/reference.ts';
import { CredentialStore } from '../oci/registry/credentials.ts';
import { parseDockerConfig } from '../oci/registry/docker-config.ts';
import { FolderStore } from '../storage/folder/folder-store.ts';
import { type ArtifactUnderTest, makeArtifact, storeArtifact } from './artifact-under-test.ts';
import { ImageIndex } from './image-index.ts';
import { type PushedImage, pushBootImage } from './push.ts';
import { BootRegistry } from './server.ts';

/** A boot image goes into the distribution registry, and comes out of it as a boot registry would have served it. */

const signal = AbortSignal.timeout(600_000);
const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

let root: string;
let artifact: ArtifactUnderTest;
let boot: BootRegistry;
let origin: string;
let registries: Readonly<Record<'open' | 'guarded', RegistryService>>;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'push-'));
  const store = new FolderStore(root);
  artifact = await makeArtifact(randomBytes(3_000_001), randomBytes(20_000_000));
  await storeArtifact(store, { namespace: 'tenant', image: 'web' }, artifact, signal);
  const index = new ImageIndex(store, { now: () => performance.now(), log: silent });
  boot = new BootRegistry({ index, store, log: silent });
  origin = `http://127.0.0.1:${await boot.listen(0, '127.0.0.1')}`;
  const open = await startRegistry({}, undefined, signal);
  registries = { open, guarded: await startRegistry({ authentication: true }, undefined, signal) };
});

afterAll(async () => {
  await Promise.all([boot.close(), registries.open.stop(), registries.guarded.stop()]);
  await rm(root, { recursive: true });
});

const sum = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

function credentials(
  { host, credentials: known }: RegistryService,
  password = known?.password,
): CredentialStore {
  if (known === undefined) return new CredentialStore();
  const auths = { [host]: { username: known.username, password } };
  return new CredentialStore([parseDockerConfig(JSON.stringify({ auths }), 'test')]);
}

async function push(
  registry: RegistryService,
  known = credentials(registry),
  namespace = 'tenant',
): Promise<PushedImage> {
  const target = parseReference(`${registry.host}/team/boot`);
  await using client = new PushClient(target, { credentials: known });
  return await pushBootImage(new FolderStore(join(root, namespace)), 'web', artifact.record, client, signal);
}

async function served(path: string): Promise<Buffer> {
  const response = await fetch(`${origin}/v2/tenant/web/${path}`, { signal });
  expect(response.status).toBe(200);
  return Buffer.from(await response.arrayBuffer());
}

describe.each(['open', 'guarded'] as const)('a registry that is %s', (which) => {
  it('gives back by digest what a boot registry serves, and keeps it under a tag', async () => {
    const registry = registries[which];
    const { digest, tag, bytesPushed } = await push(registry);
    expect(digest).toBe(artifact.record.bootImage.digest);
    expect(bytesPushed).toBeGreaterThan(23_000_000);

    await using client = new RegistryClient({ credentials: credentials(registry) });
    const pinned = parseReference(`${registry.host}/team/boot@${digest}`);
    const document = await client.fetchDocument(pinned, signal);
    expect(document.contentType).toBe(MEDIA_TYPES.ociManifest);
    expect(document.bytes).toEqual(await served(`manifests/${digest}`));
    // Platform, configuration and layers, as whoever boots it looks at them.
    const image = await client.resolve(pinned, { os: 'linux', architecture: 'amd64' }, signal);
    expect(image.layers).toHaveLength(2);
    const { manifest } = await client.fetchManifest(pinned, signal);
    if (manifest.kind !== 'image') throw new Error('it is no image');
    for (const blob of [manifest.config, ...manifest.layers]) {
      const parts: Uint8Array[] = [];
      for await (const part of client.openBlob(pinned, blob, signal)) parts.push(part);
      expect(sum(Buffer.concat(parts))).toBe(sum(await served(`blobs/${blob.digest}`)));
    }
    const tagged = parseReference(`${registry.host}/team/boot:${tag}`);
    expect(await client.resolveDigest(tagged, signal)).toBe(digest);
  });

  it('is not sent what it has', async () => {
    await push(registries[which]);
    // Nothing is read either: there is no object.
    expect(await push(registries[which], undefined, 'nowhere')).toMatchObject({ bytesPushed: 0 });
  });
});

it.each(['no', 'wrong'])(
  'a registry that is guarded takes nothing from whoever has %s password',
  async (which) => {
    const { guarded } = registries;
    const known = which === 'no' ? new CredentialStore() : credentials(guarded, 'mistyped');
    const refused = await push(guarded, known).catch((error: unknown) => error);
    const message = /^push to 127\.0\.0\.1:[0-9]+\/team\/boot: blob sha256:.* refuses access \(401/;
    expect(refused).toMatchObject({
      code: 'RegistryUnauthorized',
      message: expect.stringMatching(message) as string,
    });
    expect(String(refused)).not.toContain('mistyped');
  },
);
