import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { run } from '../process/run.ts';
import { OPERATOR_NAMESPACE } from '../stack/chart.ts';
import { consoleLine } from '../stack/console.ts';
import {
  type Artifact,
  bucket,
  createNamespace,
  eventsOf,
  eventually,
  image,
  imageReady,
  keysBelow,
  kubectl,
  linuxkitConfig,
  linuxkitImage,
  linuxkitMachine,
  machineReady,
  within,
} from './fixtures.ts';

const NAMESPACE = 'boot';
const NAME = 'web';
const MAIN = join(import.meta.dirname, '../../operator/main.ts');

/** What `kubectl linuxkit` prints. */
async function plugin(...args: readonly string[]): Promise<string> {
  const env = { KUBECONFIG: kubectl.kubeconfig, PATH: `${kubectl.folder}:${process.env['PATH'] ?? ''}` };
  const command = [MAIN, 'plugin', ...args, `--namespace=${NAMESPACE}`];
  return await run(process.execPath, command, { env, signal: within(120) });
}

describe('from kubectl apply to a booted machine', () => {
  let first: Artifact;

  beforeAll(async () => await createNamespace(NAMESPACE));

  it('builds the image, stores it, and says under which digests', async () => {
    await kubectl.apply(
      [
        linuxkitImage(NAMESPACE, NAME, { config: linuxkitConfig('one'), historyLimit: 2 }),
        linuxkitMachine(NAMESPACE, NAME, { terminationGracePeriodSeconds: 20 }),
      ],
      within(30),
    );
    // Right after the apply, without a moment for a first status.
    await kubectl.run(
      [
        `--namespace=${NAMESPACE}`,
        'wait',
        '--for=condition=Ready',
        '--timeout=240s',
        `linuxkitimage/${NAME}`,
      ],
      within(250),
    );
    const { status } = await image(NAMESPACE, NAME);
    if (status?.artifact === undefined) throw new Error('no artifact in the status');
    first = status.artifact;

    const { store, client } = await bucket();
    try {
      for (const file of [first.kernel, first.initrd, first.cmdline]) {
        const { body } = await store.get(file.key, { signal: within(60) });
        const hash = createHash('sha256');
        let size = 0;
        for await (const chunk of body as AsyncIterable<Buffer>) {
          hash.update(chunk);
          size += chunk.length;
        }
        expect({ key: file.key, size, sha256: hash.digest('hex') }).toEqual({
          key: file.key,
          size: file.size,
          sha256: file.sha256,
        });
      }
    } finally {
      client.destroy();
    }
    expect((await eventsOf(NAMESPACE, 'LinuxKitImage', NAME)).map((event) => event.reason)).toEqual(
      expect.arrayContaining(['Building', 'BuildSucceeded']),
    );
  });

  it('boots exactly that, with an onboot container under runc and a service under containerd', async () => {
    const { status } = await machineReady(NAMESPACE, NAME, first);
    expect(status?.machines?.[0]).toMatchObject({ name: `${NAME}-0`, phase: 'Running', node: 'test' });
    expect(status?.machines?.[0]?.addresses?.length).toBeGreaterThan(0);
    const { text } = await consoleLine(kubectl, NAMESPACE, NAME, /service one/, within(180));
    expect(text).toMatch(/onboot one/);
    const address = status?.machines?.[0]?.addresses?.[0];
    const answer = await fetch(`http://${address}/`, { signal: within(20) });
    expect(answer.status).toBe(200);
  });

  it('builds nothing again for an unchanged spec', async () => {
    const before = await kubectl.run(
      [`--namespace=${NAMESPACE}`, 'get', 'jobs', '-o', 'jsonpath={.items[*].metadata.uid}'],
      within(20),
    );
    await kubectl.run(
      [`--namespace=${NAMESPACE}`, 'label', 'linuxkitimage', NAME, 'touched=yes', '--overwrite'],
      within(20),
    );
    await kubectl.apply(
      [linuxkitImage(NAMESPACE, NAME, { config: linuxkitConfig('one'), historyLimit: 2 })],
      within(20),
    );
    const { status } = await imageReady(NAMESPACE, NAME);
    expect(status?.artifact?.digest).toBe(first.digest);
    expect(status?.build).toBeUndefined();
    const after = await kubectl.run(
      [`--namespace=${NAMESPACE}`, 'get', 'jobs', '-o', 'jsonpath={.items[*].metadata.uid}'],
      within(20),
    );
    expect(after).toBe(before);
  });

  it('follows a changed service to a new digest, and keeps the old artifact', async () => {
    await kubectl.apply(
      [linuxkitImage(NAMESPACE, NAME, { config: linuxkitConfig('two'), historyLimit: 2 })],
      within(20),
    );
    const second = await eventually('a second artifact', 240, async () => {
      const { status } = await image(NAMESPACE, NAME);
      return status?.artifact !== undefined && status.artifact.digest !== first.digest
        ? status.artifact
        : undefined;
    });
    await machineReady(NAMESPACE, NAME, second);
    await consoleLine(kubectl, NAMESPACE, NAME, /service two/, within(180));
    const { status } = await image(NAMESPACE, NAME);
    expect(status?.history?.map((artifact) => artifact.digest)).toContain(first.digest);
    expect(await keysBelow(`${NAMESPACE}/${NAME}/`)).toEqual(
      expect.arrayContaining([first.initrd.key, second.initrd.key]),
    );
  });

  it('is shown by the plugin: state, logs, console, history, and the very bytes that were built', async () => {
    const { status } = await image(NAMESPACE, NAME);
    const artifact = status?.artifact;
    if (artifact === undefined) throw new Error('no artifact in the status');
    const state = await plugin('status');
    expect(state).toMatch(new RegExp(`\\n${NAME} +True +Available`));
    expect(state).toMatch(new RegExp(`\\n${NAME} +True +UpToDate +1/1`));
    expect(await plugin('logs', NAME)).toContain(`"digest":"${artifact.digest}"`);
    expect(await plugin('console', NAME)).toMatch(/service two/);
    const history = JSON.parse(await plugin('history', `machine/${NAME}`, '-o', 'json')) as {
      revisions: readonly { digest: string; standing: string }[];
    };
    expect(history.revisions.map(({ digest, standing }) => [digest, standing])).toEqual([
      [artifact.digest, 'running'],
      [first.digest, 'kept'],
    ]);

    const folder = await mkdtemp(join(tmpdir(), 'download-'));
    try {
      await plugin('download', NAME, `--to=${folder}`, `--operator-namespace=${OPERATOR_NAMESPACE}`);
      for (const [file, { sha256 }] of [
        ['kernel', artifact.kernel],
        ['initrd.img', artifact.initrd],
      ] as const) {
        const bytes = await readFile(join(folder, file));
        expect([file, createHash('sha256').update(bytes).digest('hex')]).toEqual([file, sha256]);
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('leaves nothing in the cluster or the bucket when all is deleted', async () => {
    await kubectl.run(
      [
        `--namespace=${NAMESPACE}`,
        'delete',
        `linuxkitmachine/${NAME}`,
        `linuxkitimage/${NAME}`,
        '--timeout=120s',
      ],
      within(130),
    );
    await eventually('everything of ours to be gone', 90, async () => {
      const kinds = 'linuxkitimages,linuxkitmachines,virtualmachines,virtualmachineinstances,jobs,pods';
      const left = await kubectl.run([`--namespace=${NAMESPACE}`, 'get', kinds, '-o', 'name'], within(20));
      const maps = await kubectl.run(
        [`--namespace=${NAMESPACE}`, 'get', 'configmaps', '-o', 'name'],
        within(20),
      );
      return left.trim() === '' && maps.trim() === 'configmap/kube-root-ca.crt';
    });
    expect(await keysBelow(`${NAMESPACE}/`)).toEqual([]);
  });
});
