import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ControlPlane } from '../../../e2e/cluster/control-plane.ts';
import { installCrds } from '../../../e2e/cluster/crds.ts';
import { waitFor } from '../../../e2e/process/wait.ts';
import { silentReporter } from '../../../e2e/progress/reporter.ts';
import { ANNOTATION_REBUILD, ANNOTATION_ROLLBACK } from '../../api/names.ts';
import { IMAGES, type ImageObject } from '../../controllers/image/objects.ts';
import { ClusterAccess } from '../../runtime/access.ts';
import { ApiClient } from '../../runtime/api-client.ts';
import { artifact, conditions, IMAGE, MACHINE } from './examples.ts';
import { MACHINES } from './objects.ts';

/** The plugin as people call it, against a real API server. Statuses are written here: no controller runs. */

const MAIN = join(import.meta.dirname, '../../main.ts');
const namespace = 'default';
const key = { namespace, name: 'web' };
const signal = AbortSignal.timeout(900_000);
let plane: ControlPlane;
let client: ApiClient;

async function plugin(...args: readonly string[]) {
  const child = spawn(process.execPath, [MAIN, 'plugin', ...args], {
    env: { PATH: process.env['PATH'], KUBECONFIG: plane.kubeconfig },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { out, err, code: child.exitCode };
}

beforeAll(async () => {
  plane = await ControlPlane.start(silentReporter, signal);
  client = new ApiClient(ClusterAccess.load({ file: plane.kubeconfig }));
  await installCrds(client, signal);
  const metadata = { ...key };
  const config = { kernel: { image: 'kernel:1' }, init: ['init:1'] };
  const image = { ...IMAGE, metadata, spec: { config } } as unknown as ImageObject;
  await client.create(IMAGES, image, { signal });
  await client.create(MACHINES, { ...MACHINE, metadata }, { signal });
  await client.patch(IMAGES, key, { status: IMAGE.status }, { signal, subresource: 'status' });
  await client.patch(MACHINES, key, { status: MACHINE.status }, { signal, subresource: 'status' });
});

afterAll(async () => {
  await client.access[Symbol.asyncDispose]();
  await plane.stop();
});

describe('kubectl linuxkit', () => {
  test('status shows all, or what is named, without colours where there is no terminal', async () => {
    const all = await plugin('status');
    expect(all).toMatchObject({ code: 0, err: '' });
    expect(all.out).toMatch(
      /^IMAGE +READY.*\nweb +True +Available.*\n\nMACHINE.*\nweb +False +RolledBack +1\/2/,
    );
    expect(all.out).not.toContain('\u001B');
    expect((await plugin('status', 'machine/web')).out).toContain('web-1   Failing');
    const { out } = await plugin('status', '-o', 'json', '--namespace', namespace);
    expect(JSON.parse(out)).toMatchObject({
      images: [{ name: 'web', namespace, status: { artifact: { reason: 'SpecChanged' } } }],
      machines: [{ name: 'web', status: { readyReplicas: 1 } }],
    });
    expect((await plugin('status', '--namespace=elsewhere')).out).toBe(
      'There are no images and no machines here.\n',
    );
  });

  test('history lists artifacts and revisions', async () => {
    const { out } = await plugin('history', 'web');
    expect(out).toContain('current');
    expect(out).toMatch(/2 +web-2 +failed/);
    const document = JSON.parse((await plugin('history', 'machine/web', '-o', 'json')).out) as object;
    expect(document).toMatchObject({
      artifacts: [],
      revisions: [{ number: 2, standing: 'failed' }, { number: 1 }],
    });
  });

  test('rebuild asks, and waits until the controller is done', async () => {
    const asked = await plugin('rebuild', 'web', '-o', 'json');
    const { requestedAt } = JSON.parse(asked.out) as { requestedAt: string };
    const annotation = async () =>
      (await client.get(IMAGES, key, { signal })).metadata.annotations?.[ANNOTATION_REBUILD];
    expect(await annotation()).toBe(requestedAt);

    const waiting = plugin('rebuild', 'web', '--wait', '--timeout=60s');
    const token = await waitFor(
      'another request',
      async () => {
        const now = await annotation();
        return now !== requestedAt && now;
      },
      { signal, timeout: 30_000 },
    );
    const status = {
      lastHandledRebuild: token,
      artifact: artifact('e', '2026-11-24T12:00:00Z', 'Requested'),
      conditions: conditions('True', 'Available', 'stored'),
    };
    await client.patch(IMAGES, key, { status }, { signal, subresource: 'status' });
    expect(await waiting).toMatchObject({ code: 0, out: `image/web: sha256:${'e'.repeat(64)}\n` });
  });

  test('rebuild tells of a build that failed', async () => {
    const waiting = plugin('rebuild', 'web', '--wait', '--timeout=60s');
    const before = (await client.get(IMAGES, key, { signal })).status?.lastHandledRebuild;
    const token = await waitFor(
      'the request',
      async () => {
        const now = (await client.get(IMAGES, key, { signal })).metadata.annotations?.[ANNOTATION_REBUILD];
        return now !== before && now;
      },
      { signal, timeout: 30_000 },
    );
    const status = {
      lastHandledRebuild: token,
      conditions: conditions('False', 'ImageNotFound', 'no such tag', 'Stalled'),
    };
    await client.patch(IMAGES, key, { status }, { signal, subresource: 'status' });
    const { code, err } = await waiting;
    expect(code).toBe(1);
    expect(err).toContain('error: BuildFailed: image/web: ImageNotFound: no such tag');
  });

  test('rollback asks for a revision that is kept, and for no other', async () => {
    const annotation = async () =>
      (await client.get(MACHINES, key, { signal })).metadata.annotations?.[ANNOTATION_ROLLBACK];
    const refused = await plugin('rollback', 'web', '--to', '7');
    expect(refused).toMatchObject({ code: 1, out: '' });
    expect(refused.err).toBe('error: NoSuchRevision: machine/web keeps no revision "7"; there are: 2, 1\n');
    expect(await annotation()).toBeUndefined();
    expect(await plugin('rollback', 'web', '--to=web-1')).toMatchObject({
      code: 0,
      out: 'machine/web: revision 1 was asked for\n',
    });
    expect(await annotation()).toMatch(/^1@2\d{3}-/);
  });

  test.each([
    [['status', 'no-such'], 'NotFound: there is no image or machine no-such in namespace default'],
    [['logs', 'web'], 'NothingYet: image/web has no build pod any more'],
    [['console', 'web/5'], 'NothingYet: virtual machine web-5 has no pod: there is no such virtual machine'],
    [
      ['download', 'web', '--to', '/nonexistent/web'],
      'NotFound: namespace linuxkit-system has no boot registry',
    ],
    [['rebuild', 'machine/web'], 'InvalidName: "machine/web": a LinuxKitImage is wanted here'],
  ])('%j says what is wrong', async (args, message) => {
    const { code, err } = await plugin(...args);
    expect(err).toContain(`error: ${message}`);
    expect(code).toBe(1);
  });

  test('names of objects, revisions and digests are completed', async () => {
    const complete = async (...words: string[]) =>
      (await plugin('__complete', ...words)).out.trimEnd().split('\n');
    expect(await complete('status', '')).toEqual([
      'image/web\tImageNotFound',
      'machine/web\tRolledBack',
      ':4',
    ]);
    expect(await complete('rollback', 'web', '--to', '')).toEqual([
      'previous\tthe last healthy one, or the one before',
      '2\tfailed, artifact',
      '1\trunning, first',
      ':4',
    ]);
    expect(await complete('download', 'web', '--digest', 'c')).toEqual([
      `${'c'.repeat(16)}\t2026-11-24T10:00:00Z`,
      ':4',
    ]);
    expect(await complete('logs', '-n', 'kube-s')).toEqual(['kube-system', ':4']);
    expect(await complete('ro')).toEqual(['rollback\tmove a machine back to an earlier revision', ':4']);
  });
});
