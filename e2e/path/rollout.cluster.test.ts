import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { LinuxKitMachine, MachineRow } from '../../operator/api/machine.ts';
import { BANDWIDTH_ANNOTATION } from '../kubevirt/instance/migration.ts';
import { publishSmallComponents } from '../kubevirt/small-guest.ts';
import { OPERATOR_NAMESPACE, RELEASE } from '../stack/chart.ts';
import {
  type Condition,
  createNamespace,
  eventsOf,
  eventually,
  kubectl,
  linuxkitImage,
  linuxkitMachine,
  REGISTRY,
  testCluster,
  within,
} from './fixtures.ts';
import { FleetWatch } from './fleet-watch.ts';

const NAMESPACE = 'rollout';
const NAME = 'web';
const REPLICAS = 5;
/** Enough for what is interrupted. */
const FEWER = 3;
const MIN_READY_SECONDS = 2;
/** Longer than a good guest takes from its power button to its service, on a busy machine. */
const PATIENT_DEADLINE = 300;
const SHORT_DEADLINE = 30;
/** Ours to keep: from what is known to what is done about it, besides what the policy waits for. */
const BUDGET_MS = 2000;

let watch: FleetWatch;
let components: { readonly kernel: string; readonly init: string };
let current: string;

function namesOf(replicas: number): string[] {
  return Array.from({ length: replicas }, (_, ordinal) => `${NAME}-${ordinal}`);
}

/** What an emulated processor need not spend its time on. */
const FRUGAL = 'console=ttyS0 quiet mitigations=off tsc=reliable no_timer_check';
const SERVES = 'guest.http=0';
const PANICS = `${SERVES} rdinit=/nothing`;
const SERVES_NOTHING = 'guest.say=nothing';

/** Of a guest whose service shows the greeting, unless the kernel arguments say otherwise. */
async function build(greeting: string, kernelArgs = SERVES): Promise<string> {
  const before = current;
  const config = {
    kernel: { image: `${REGISTRY}/${components.kernel}`, cmdline: `${FRUGAL} ${kernelArgs}` },
    init: [`${REGISTRY}/${components.init}`],
    files: [{ path: 'etc/greeting', contents: `${greeting}\n`, mode: '0644' }],
  };
  await kubectl.apply([linuxkitImage(NAMESPACE, NAME, { config, historyLimit: 1 })], within(30));
  const digest = await until(`the image ${greeting}`, 180, () => {
    const found = watch.image(NAME);
    const ready = conditionOf(found, 'Ready');
    const isReady = ready?.status === 'True' && ready.observedGeneration === found?.metadata.generation;
    const built = found?.status?.artifact?.digest;
    return isReady && built !== before ? built : undefined;
  });
  current = digest;
  return digest;
}

function conditionOf(
  object: { readonly status?: { readonly conditions?: readonly Condition[] } | undefined } | undefined,
  type: string,
): Condition | undefined {
  return object?.status?.conditions?.find((each) => each.type === type);
}

/** Waits for something that the watch has seen, which costs the cluster nothing. */
async function until<T>(what: string, seconds: number, probe: () => T | undefined | false): Promise<T> {
  return await eventually(what, seconds, () => Promise.resolve(probe()));
}

function rowsOf(machine: LinuxKitMachine | undefined): readonly MachineRow[] {
  return machine?.status?.machines ?? [];
}

function runs(machine: LinuxKitMachine | undefined, digest: string | undefined, replicas: number): boolean {
  const rows = rowsOf(machine);
  return rows.length === replicas && rows.every((row) => row.ready && row.bootedDigest === digest);
}

function small(name: string, spec: Readonly<Record<string, unknown>>): object {
  return linuxkitMachine(NAMESPACE, name, {
    imageRef: { name: NAME },
    memory: '128Mi',
    // The cheapest to emulate.
    cpu: { model: 'qemu64' },
    terminationGracePeriodSeconds: 5,
    readinessProbe: { httpGet: { port: 80 }, periodSeconds: 1, timeoutSeconds: 5, failureThreshold: 10 },
    ...spec,
  });
}

/** Waits until so many run the artifact and have been ready for long enough. */
async function allOn(digest: string, replicas: number, name = NAME): Promise<LinuxKitMachine> {
  return await until(`${replicas} of ${name} on ${digest}`, 300, () => {
    const found = watch.machine(name);
    const { status } = found ?? {};
    const isThere = runs(found, digest, replicas) && status?.targetDigest === digest;
    return isThere && conditionOf(found, 'Ready')?.status === 'True' ? found : undefined;
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
  const { registry } = await testCluster();
  components = await publishSmallComponents(registry.host, within(180));
  await createNamespace(NAMESPACE);
  watch = await FleetWatch.start(inject('stack').kubeconfig, NAMESPACE, NAME);
  current = '';
  const update = { minReadySeconds: MIN_READY_SECONDS, progressDeadlineSeconds: PATIENT_DEADLINE };
  await kubectl.apply([small(NAME, { replicas: REPLICAS, update })], within(30));
  await allOn(await build('one'), REPLICAS);
});

afterAll(async () => {
  await watch?.[Symbol.asyncDispose]();
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
    expect(watch.leastAnswers).toBe(REPLICAS - 1);
    expect(watch.restarts.map(({ name }) => name)).toEqual(namesOf(REPLICAS).reverse());

    const [first, ...others] = watch.restarts;
    const known = watch.artifacts.get(digest) ?? Number.NaN;
    expect((first?.at ?? Number.NaN) - known).toBeLessThan(BUDGET_MS);
    for (const [index, { at }] of others.entries()) {
      const before = watch.restarts[index];
      const ready = watch.arrivals.find((moment) => moment.name === before?.name && moment.at > before.at);
      expect(at - (ready?.at ?? Number.NaN)).toBeLessThan(BUDGET_MS + MIN_READY_SECONDS * 1000);
    }
  }, 400_000);

  it.each([
    ['whose kernel panics', 'three', PANICS],
    ['whose init never gets to its service', 'four', SERVES_NOTHING],
  ])(
    'leave an image %s after one of them, and go back',
    async (_title, greeting, kernelArgs) => {
      const good = watch.machine(NAME)?.status?.targetDigest;
      await policy({ progressDeadlineSeconds: SHORT_DEADLINE });
      const before = watch.uids;
      watch.begin();
      const bad = await build(greeting, kernelArgs);
      const back = await until('all to be back', 200, () => {
        const found = watch.machine(NAME);
        const isBack = runs(found, good, REPLICAS) && found?.status?.targetDigest === good;
        // An earlier image that did not come up may have left the same conditions.
        const isOfThis = conditionOf(found, 'RolledBack')?.message.includes(bad) === true;
        return isBack && isOfThis && conditionOf(found, 'Stalled')?.reason === 'RolledBack'
          ? found
          : undefined;
      });
      expect(conditionOf(back, 'RolledBack')).toMatchObject({
        status: 'True',
        reason: 'ProgressDeadlineExceeded',
        message: expect.stringContaining(bad) as unknown,
      });
      expect(conditionOf(back, 'Ready')?.status).toBe('False');
      expect(back.status).toMatchObject({ targetDigest: good, readyReplicas: REPLICAS });
      const [last, ...others] = namesOf(REPLICAS).reverse();
      expect(watch.visitors(bad)).toEqual([last]);
      for (const name of others) expect(watch.uids.get(name)).toBe(before.get(name));
      expect(watch.leastAnswers).toBe(REPLICAS - 1);
      const reasons = (await eventsOf(NAMESPACE, 'LinuxKitMachine', NAME)).map((event) => event.reason);
      expect(reasons).toContain('RolledBack');
    },
    400_000,
  );
});

describe('three machines', () => {
  beforeAll(async () => {
    await policy({ progressDeadlineSeconds: PATIENT_DEADLINE });
    await scale(FEWER);
    await until('two to be gone', 120, () => watch.uids.size === FEWER);
  });

  it('and one of another object on the same image follow it, though the operator is killed and one is added', async () => {
    // It begins with an image that does not come up, as it is: nothing of it is known to be better.
    await kubectl.apply(
      [small('api', { update: { progressDeadlineSeconds: PATIENT_DEADLINE } })],
      within(30),
    );
    watch.begin();
    const digest = await build('five');
    const mine = () => watch.restarts.map(({ name }) => name).filter((name) => namesOf(FEWER).includes(name));
    await until('the first restart', 60, () => mine().length > 0);
    const managers = `app.kubernetes.io/instance=${RELEASE},app.kubernetes.io/component=manager`;
    await kubectl.run(
      [`--namespace=${OPERATOR_NAMESPACE}`, 'delete', 'pods', '-l', managers, '--grace-period=0', '--force'],
      within(60),
    );
    await scale(FEWER + 1);
    await allOn(digest, FEWER + 1);
    await allOn(digest, 1, 'api');
    expect(watch.leastAnswers).toBeGreaterThanOrEqual(FEWER - 1);
    // Each once, whoever led.
    expect(mine().toSorted()).toEqual(namesOf(FEWER));
    await kubectl.run(
      [`--namespace=${NAMESPACE}`, 'delete', 'linuxkitmachine', 'api', '--timeout=90s'],
      within(100),
    );
    await scale(FEWER);
    await until('the one that was added to be gone', 120, () => watch.uids.size === FEWER);
  }, 600_000);

  it('pass over the one that is being migrated, which follows once that is over', async () => {
    watch.begin();
    const [moved, ...others] = namesOf(FEWER).reverse();
    const migration = {
      apiVersion: 'kubevirt.io/v1',
      kind: 'VirtualMachineInstanceMigration',
      // So slow that it lasts until it is cancelled.
      metadata: { namespace: NAMESPACE, name: 'slow', annotations: { [BANDWIDTH_ANNOTATION]: '64Ki' } },
      spec: { vmiName: moved },
    };
    await kubectl.apply([migration], within(30));
    await until('its machine to be Migrating', 120, () =>
      rowsOf(watch.machine(NAME)).find((row) => row.name === moved && row.phase === 'Migrating'),
    );
    const digest = await build('moved');
    await until('the others to be on it', 200, () =>
      rowsOf(watch.machine(NAME)).every(
        (row) => row.name === moved || (row.ready && row.bootedDigest === digest),
      ),
    );
    expect(watch.restarts.map(({ name }) => name)).toEqual(others);
    expect(rowsOf(watch.machine(NAME)).find((row) => row.name === moved)?.phase).toBe('Migrating');
    await kubectl.run(
      [`--namespace=${NAMESPACE}`, 'delete', 'virtualmachineinstancemigration', 'slow', '--timeout=90s'],
      within(100),
    );
    await allOn(digest, FEWER);
    expect(watch.restarts.map(({ name }) => name)).toEqual([...others, moved]);
    expect(watch.leastAnswers).toBe(FEWER - 1);
  }, 500_000);

  it('wait with one of them for a boot registry that is down, and take the last of two images once it is back', async () => {
    watch.begin();
    const [last, ...others] = namesOf(FEWER).reverse();
    await bootRegistry(false);
    let middle: string;
    let newest: string;
    try {
      middle = await build('six');
      await until('a machine that cannot be pulled', 120, () =>
        rowsOf(watch.machine(NAME)).find(
          (row) => row.phase === 'Failing' && /ErrImagePull|ImagePullBackOff/.test(row.message ?? ''),
        ),
      );
      newest = await build('seven');
      expect(watch.visitors(middle)).toEqual([last]);
      expect(watch.leastAnswers).toBe(FEWER - 1);
    } finally {
      await bootRegistry(true);
    }
    const { status } = await allOn(newest, FEWER);
    expect(status).not.toHaveProperty('failedRevision');
    for (const name of others) expect(watch.visitors(middle)).not.toContain(name);
    expect(watch.leastAnswers).toBe(FEWER - 1);
  }, 600_000);

  it('go on, and are joined by another, though their image was deleted first', async () => {
    await kubectl.run(
      [`--namespace=${NAMESPACE}`, 'delete', 'linuxkitimage', NAME, '--wait=false'],
      within(20),
    );
    await until('the image to say who needs it', 60, () => {
      const ready = conditionOf(watch.image(NAME), 'Ready');
      return ready?.reason === 'ArtifactInUse' && ready.message.includes(`machine ${NAME} needs ${current}`);
    });
    await scale(FEWER + 1);
    const found = await allOn(current, FEWER + 1);
    expect(conditionOf(found, 'Ready')?.message).toContain(`depends on ${current}`);
    await kubectl.run(
      [`--namespace=${NAMESPACE}`, 'delete', 'linuxkitmachine', NAME, '--timeout=90s'],
      within(100),
    );
    await until('the image to go after them', 60, () => watch.image(NAME) === undefined);
  }, 400_000);
});

/** A node that nobody has takes the boot registry away; without it, it comes back. */
async function bootRegistry(present: boolean): Promise<void> {
  const inNamespace = `--namespace=${OPERATOR_NAMESPACE}`;
  const nodeSelector = { 'linuxkit.dev/nowhere': present ? null : 'true' };
  const patch = JSON.stringify({ spec: { template: { spec: { nodeSelector } } } });
  await kubectl.run(
    [inNamespace, 'patch', 'daemonset', `${RELEASE}-boot-registry`, '--type=merge', '-p', patch],
    within(20),
  );
  const selector = `app.kubernetes.io/instance=${RELEASE},app.kubernetes.io/component=boot-registry`;
  await eventually(`the boot registry to be ${present ? 'there' : 'gone'}`, 90, async () => {
    const { items } = await kubectl.json<{
      items: readonly { readonly status?: { readonly conditions?: readonly Condition[] } }[];
    }>([inNamespace, 'get', 'pods', '-l', selector], within(20));
    return present ? items.some((pod) => conditionOf(pod, 'Ready')?.status === 'True') : items.length === 0;
  });
}
