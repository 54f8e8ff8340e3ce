import { beforeAll, describe, expect, it } from 'vitest';
import {
  type Artifact,
  createNamespace,
  eventually,
  image,
  imageReady,
  kubectl,
  linuxkitConfig,
  linuxkitImage,
  linuxkitMachine,
  machineReady,
  testCluster,
  within,
} from './fixtures.ts';

const NAMESPACE = 'boot-repository';
const NAME = 'web';

/** What KubeVirt was told to boot. */
async function booted(): Promise<unknown> {
  return await kubectl
    .json<{ spec: { domain: { firmware: { kernelBoot: { container: unknown } } } } }>(
      [`--namespace=${NAMESPACE}`, 'get', 'vmi', `${NAME}-0`],
      within(20),
    )
    .then(({ spec }) => spec.domain.firmware.kernelBoot.container);
}

describe('a registry of the user that machines boot from', () => {
  let host: string;
  let first: Artifact;

  beforeAll(async () => {
    await createNamespace(NAMESPACE);
    host = (await testCluster()).registry.host;
  });

  const apply = async (path: string): Promise<void> =>
    await kubectl.apply(
      [
        linuxkitImage(NAMESPACE, NAME, {
          config: linuxkitConfig('pushed'),
          bootImage: { repository: `${host}/${path}` },
        }),
      ],
      within(30),
    );

  it('is given the boot image by the build, and the node pulls it from there', async () => {
    await apply('boot/one');
    await kubectl.apply([linuxkitMachine(NAMESPACE, NAME)], within(30));
    const { status } = await imageReady(NAMESPACE, NAME, 240);
    if (status?.artifact === undefined) throw new Error('no artifact in the status');
    first = status.artifact;
    const reference = `${host}/boot/one@${first.bootImage.digest}`;
    expect(first.bootImage).toEqual({
      reference,
      digest: first.bootImage.digest,
      repository: `${host}/boot/one`,
    });
    await machineReady(NAMESPACE, NAME, first);
    expect(await booted()).toMatchObject({ image: reference });
  });

  it('is left for another without a new artifact, and machines follow', async () => {
    await apply('boot/two');
    const reference = `${host}/boot/two@${first.bootImage.digest}`;
    const moved = await eventually('the push to the other repository', 180, async () => {
      const { status } = await image(NAMESPACE, NAME);
      return status?.artifact?.bootImage.reference === reference ? status : undefined;
    });
    expect(moved.artifact?.digest).toBe(first.digest);
    expect(moved.history).toBeUndefined();
    await eventually('the machine to boot from there', 180, async () => {
      const found = (await booted().catch(() => undefined)) as { readonly image?: string } | undefined;
      return found?.image === reference;
    });
    await machineReady(NAMESPACE, NAME, first);
  });
});
