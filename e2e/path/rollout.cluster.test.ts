import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { OPERATOR_NAMESPACE, RELEASE } from '../stack/chart.ts';
import {
  type Config,
  condition,
  createNamespace,
  eventsOf,
  eventually,
  imageReady,
  kubectl,
  linuxkitConfig,
  linuxkitImage,
  linuxkitMachine,
  type MachineObject,
  machine,
  within,
} from './fixtures.ts';
import { FleetWatch } from './fleet-watch.ts';

const NAMESPACE = 'rollout';
const NAME = 'web';
const REPLICAS = 5;
/** Enough for what is interrupted. */
const FEWER = 3;
const MIN_READY_SECONDS = 2;
/** Ours to keep: from what is known to what is done about it, besides what the policy waits for. */
const BUDGET_MS = 2000;

let watch: FleetWatch;
let current: string;

function namesOf(replicas: number): string[] {
  return Array.from({ length: replicas }, (_, ordinal) => `${NAME}-${ordinal}`);
}

type Change = (config: Config) => void;

const PANICS: Change = (config) => {
  config.kernel.cmdline += ' rdinit=/nothing';
};
const SERVES_NOTHING: Change = (config) => {
  config.services = config.services.filter(({ name }) => name !== 'httpd');
};

async function build(greeting: string, change?: Change): Promise<string> {
  const before = current;
  await kubectl.apply(
    [linuxkitImage(NAMESPACE, NAME, { config: linuxkitConfig(greeting, change), historyLimit: 1 })],
    within(30),
  );
  const digest = await eventually(`the image ${greeting}`, 240, async () => {
    const found = (await imageReady(NAMESPACE, NAME, 240)).status?.artifact?.digest;
    return found === before ? undefined : found;
  });
  current = digest;
  return digest;
}

/** Waits until so many run the artifact and have been ready for long enough. */
async function allOn(digest: string, replicas: number, name = NAME, seconds = 420): Promise<MachineObject> {
  return await eventually(`${replicas} of ${name} on ${digest}`, seconds, async () => {
    const found = await machine(NAMESPACE, name);
    const rows = found.status?.machines ?? [];
    const booted = rows.length === replicas && rows.every((row) => row.ready && row.bootedDigest === digest);
    return booted && found.status?.targetDigest === digest && condition(found, 'Ready')?.status === 'True'
      ? found
      : undefined;
  });
}

async function policy(update: object): Promise<void> {
  const patch = JSON.stringify({ spec: { update } });
  await kubectl.run(
    [`--namespace=${NAMESPACE}`, 'patch', 'linuxkitmachine', NAME, '--type=merge', '-p', patch],
    within(20),
  );
}

async function scale(replicas: number): Promise<void> {
  const args = [`--namespace=${NAMESPACE}`, 'scale', 'linuxkitmachine', NAME, `--replicas=${replicas}`];
  await kubectl.run(args, within(20));
}

beforeAll(async () => {
  await createNamespace(NAMESPACE);
  watch = await FleetWatch.start(inject('stack').kubeconfig, NAMESPACE, NAME);
  current = '';
  const spec = {
    replicas: REPLICAS,
    terminationGracePeriodSeconds: 10,
    update: { minReadySeconds: MIN_READY_SECONDS, progressDeadlineSeconds: 300 },
  };
  await kubectl.apply([linuxkitMachine(NAMESPACE, NAME, spec)], within(30));
  const digest = await build('one');
  await allOn(digest, REPLICAS);
});

afterAll(async () => {
  await watch[Symbol.asyncDispose]();
  await kubectl.run(
    [`--namespace=${NAMESPACE}`, 'delete', 'linuxkitmachines,linuxkitimages', '--all', '--timeout=180s'],
    within(200),
  );
});

describe('five machines', () => {
  it('move to a new image one at a time, and the service never misses more than one', async () => {
    watch.begin();
    const digest = await build('two');
    await allOn(digest, REPLICAS);
    expect(watch.leastAnswers).toBeGreaterThanOrEqual(REPLICAS - 1);
    expect(watch.restarts.map(({ name }) => name)).toEqual(namesOf(REPLICAS).reverse());

    const [first, ...others] = watch.restarts;
    const known = watch.artifacts.get(digest) ?? Number.NaN;
    expect((first?.at ?? Number.NaN) - known).toBeLessThan(BUDGET_MS);
    for (const [index, { at }] of others.entries()) {
      const before = watch.restarts[index];
      const ready = watch.arrivals.find((moment) => moment.name === before?.name && moment.at > before.at);
      expect(at - (ready?.at ?? Number.NaN)).toBeLessThan(BUDGET_MS + MIN_READY_SECONDS * 1000);
    }
  }, 600_000);

  it.each([
    ['whose kernel panics', 'three', PANICS],
    ['whose service never answers', 'four', SERVES_NOTHING],
  ])(
    'leave an image %s after one of them, and go back',
    async (_title, greeting, change) => {
      const good = (await machine(NAMESPACE, NAME)).status?.targetDigest;
      await policy({ progressDeadlineSeconds: 20 });
      const before = watch.uids;
      watch.begin();
      const bad = await build(greeting, change);
      const back = await eventually('all to be back', 300, async () => {
        const found = await machine(NAMESPACE, NAME);
        const rows = found.status?.machines ?? [];
        const fine = rows.every((row) => row.ready && row.bootedDigest === good);
        return condition(found, 'Stalled')?.reason === 'RolledBack' && fine ? found : undefined;
      });
      expect(condition(back, 'RolledBack')).toMatchObject({
        status: 'True',
        reason: 'ProgressDeadlineExceeded',
        message: expect.stringContaining(bad) as unknown,
      });
      expect(condition(back, 'Ready')?.status).toBe('False');
      expect(back.status).toMatchObject({ targetDigest: good, readyReplicas: REPLICAS });
      const [last, ...others] = namesOf(REPLICAS).reverse();
      expect(watch.visitors(bad)).toEqual([last]);
      for (const name of others) {
        expect(watch.uids.get(name)).toBe(before.get(name));
      }
      expect(watch.leastAnswers).toBeGreaterThanOrEqual(REPLICAS - 1);
      const reasons = (await eventsOf(NAMESPACE, 'LinuxKitMachine', NAME)).map((event) => event.reason);
      expect(reasons).toContain('RolledBack');
    },
    600_000,
  );

  it('and those of another object on the same image follow, though the operator is killed and one is added', async () => {
    await policy({ progressDeadlineSeconds: 300 });
    // It begins with an image that does not come up, as it is: nothing of it is known to be better.
    const spec = { imageRef: { name: NAME }, update: { progressDeadlineSeconds: 300 } };
    await kubectl.apply([linuxkitMachine(NAMESPACE, 'api', spec)], within(30));
    watch.begin();
    const digest = await build('five');
    await eventually('the first restart', 60, () => Promise.resolve(watch.restarts.length > 0));
    const managers = `app.kubernetes.io/instance=${RELEASE},app.kubernetes.io/component=manager`;
    await kubectl.run(
      [`--namespace=${OPERATOR_NAMESPACE}`, 'delete', 'pods', '-l', managers, '--grace-period=0', '--force'],
      within(60),
    );
    await scale(REPLICAS + 1);
    await allOn(digest, REPLICAS + 1);
    await allOn(digest, 1, 'api');
    expect(watch.leastAnswers).toBeGreaterThanOrEqual(REPLICAS - 1);
    const restarted = watch.restarts.map(({ name }) => name).filter((name) => name.startsWith('web-'));
    expect(new Set(restarted).size).toBe(restarted.length);
    await kubectl.run(
      [`--namespace=${NAMESPACE}`, 'delete', 'linuxkitmachine', 'api', '--timeout=90s'],
      within(100),
    );
  }, 900_000);
});

describe('three machines', () => {
  const daemonSet = [`--namespace=${OPERATOR_NAMESPACE}`, 'patch', 'daemonset', `${RELEASE}-boot-registry`];

  /** A node that nobody has takes the boot registry away; without it, it comes back. */
  async function bootRegistry(present: boolean): Promise<void> {
    const nodeSelector = { 'linuxkit.dev/nowhere': present ? null : 'true' };
    const patch = JSON.stringify({ spec: { template: { spec: { nodeSelector } } } });
    await kubectl.run([...daemonSet, '--type=merge', '-p', patch], within(20));
    await eventually(`the boot registry to be ${present ? 'there' : 'gone'}`, 90, async () => {
      const selector = `app.kubernetes.io/instance=${RELEASE},app.kubernetes.io/component=boot-registry`;
      const { items } = await kubectl.json<{
        items: readonly {
          readonly status: {
            readonly conditions?: readonly { readonly type: string; readonly status: string }[];
          };
        }[];
      }>([`--namespace=${OPERATOR_NAMESPACE}`, 'get', 'pods', '-l', selector], within(20));
      const ready = items.some(({ status }) =>
        status.conditions?.some((each) => each.type === 'Ready' && each.status === 'True'),
      );
      return present ? ready : items.length === 0;
    });
  }

  beforeAll(async () => {
    await scale(FEWER);
    await allOn(current, FEWER);
  });

  it('wait with one of them for a boot registry that is down, and go on when it is back', async () => {
    watch.begin();
    await bootRegistry(false);
    try {
      const digest = await build('six');
      await eventually('a machine that cannot be pulled', 120, async () => {
        const rows = (await machine(NAMESPACE, NAME)).status?.machines ?? [];
        return rows.find(
          (row) => row.phase === 'Failing' && /ErrImagePull|ImagePullBackOff/.test(row.message ?? ''),
        );
      });
      expect(watch.visitors(digest)).toEqual([`${NAME}-${FEWER - 1}`]);
      expect(watch.leastAnswers).toBeGreaterThanOrEqual(FEWER - 1);
    } finally {
      await bootRegistry(true);
    }
    const { status } = await allOn(current, FEWER);
    expect(status).not.toHaveProperty('failedRevision');
    expect(watch.leastAnswers).toBeGreaterThanOrEqual(FEWER - 1);
  }, 900_000);

  it('end on the last of two images built in quick succession, the one between visited once at most', async () => {
    watch.begin();
    // Longer than a build takes: the second machine would be restarted after the first had been ready for that long.
    await policy({ minReadySeconds: 60 });
    const middle = await build('seven');
    const last = await build('eight');
    await policy({ minReadySeconds: MIN_READY_SECONDS });
    await allOn(last, FEWER);
    expect(watch.visitors(middle).length).toBeLessThanOrEqual(1);
    expect(watch.leastAnswers).toBeGreaterThanOrEqual(FEWER - 1);
  }, 900_000);
});
