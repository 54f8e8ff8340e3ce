import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RegistryClient } from '../../operator/oci/client.ts';
import { parseReference } from '../../operator/oci/reference.ts';
import { COSIGN_DEADLINE, Signer } from '../signing/signer.ts';
import { consoleLine } from '../stack/console.ts';
import {
  condition,
  eventually,
  image,
  imageReady,
  kubectl,
  REGISTRY,
  testCluster,
  within,
} from './fixtures.ts';

/** The examples name it. */
const NAMESPACE = 'default';

function example(name: string): string {
  return join(import.meta.dirname, '..', '..', 'examples', `${name}.yaml`);
}

async function shown(name: string, pattern: RegExp): Promise<string> {
  return (await consoleLine(kubectl, NAMESPACE, name, pattern, within(400))).text;
}

/** `kubectl apply -f` as the README has it. */
async function applied(name: string): Promise<void> {
  await kubectl.run(['apply', '-f', example(name)], within(30));
}

describe('as it stands', () => {
  afterAll(async () => {
    await kubectl.run(
      [`--namespace=${NAMESPACE}`, 'delete', 'linuxkitmachines,linuxkitimages', '--all', '--timeout=120s'],
      within(130),
    );
  });

  it('minimal.yaml shows both of its containers at work', async () => {
    await applied('minimal');
    const console = await shown('minimal', /\[httpd\] httpd: serving on port 80/);
    expect(console).toMatch(/\[000-hello\] hello from an onboot container/);
    await kubectl.run(
      ['wait', '--for=condition=Ready', '--timeout=60s', 'linuxkitmachine/minimal'],
      within(70),
    );
  }, 500_000);

  it('docker.yaml shows a daemon that answers', async () => {
    await applied('docker');
    expect(await shown('docker', /^\[docker\] {2}docker-init:$/m)).toMatch(/^\[docker\] Server:$/m);
  }, 500_000);
});

describe('signed.yaml', () => {
  let signer: Signer;

  beforeAll(async () => {
    signer = await Signer.create(AbortSignal.timeout(COSIGN_DEADLINE));
  }, COSIGN_DEADLINE);

  afterAll(async () => {
    await kubectl.run(
      [
        `--namespace=${NAMESPACE}`,
        'delete',
        'linuxkitmachine/signed',
        'linuxkitimage/signed',
        'configmap/signers',
      ],
      within(130),
    );
    await signer[Symbol.asyncDispose]();
  });

  it('is not built of images that nobody has signed with its key', async () => {
    await applied('signed');
    const refused = await eventually('the build to be given up', 120, async () => {
      const object = await image(NAMESPACE, 'signed');
      return condition(object, 'Stalled')?.reason === 'InputVerificationFailed' ? object : undefined;
    });
    expect(refused.status?.lastFailure?.message).toMatch(
      /^\d+ images are not verified: kernel: image \S+linuxkit\/kernel:6\.1 \(sha256:[0-9a-f]{64}\) has no signature.*; init\[0\]: image/,
    );
    expect(refused.status?.artifact).toBeUndefined();
  });

  it('is built and booted once they are, with a key of one’s own in its place', async () => {
    const text = await readFile(example('signed'), 'utf8');
    const { registry } = await testCluster();
    await using client = new RegistryClient({ insecureRegistries: [registry.host] });
    const names = Array.from(text.matchAll(new RegExp(`${REGISTRY}/(\\S+)`, 'g')), ([, name]) => name);
    for (const name of new Set(names)) {
      const reference = parseReference(`${registry.host}/${name}`);
      const digest = await client.resolveDigest(reference, within(30));
      await signer.signWithKey(`${registry.host}/${reference.repository}@${digest}`, 'bundle', within(60));
    }
    const pem = signer.publicKey.trim().replaceAll('\n', '\n    ');
    const own = text.replace(/-----BEGIN PUBLIC KEY-----[\s\S]*-----END PUBLIC KEY-----/, pem);
    await kubectl.run(['apply', '-f', '-'], within(30), own);
    const { status } = await imageReady(NAMESPACE, 'signed');
    expect(status?.artifact?.inputs.length).toBeGreaterThan(5);
    for (const { verifiedBy } of status?.artifact?.inputs ?? []) expect(verifiedBy).toMatch(/^key /);
    await shown('signed', /\[httpd\] httpd: serving/);
  }, 500_000);
});
