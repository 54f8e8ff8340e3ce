import { readFile } from 'node:fs/promises';
import { expect, inject, test } from 'vitest';
import { auditFiles } from '../cluster/audit.ts';
import {
  type Artifact,
  condition,
  createNamespace,
  eventually,
  image,
  imageReady,
  kubectl,
  linuxkitConfig,
  linuxkitImage,
  linuxkitMachine,
  machineReady,
  REGISTRY,
  testCluster,
  within,
} from '../path/fixtures.ts';
import { OPERATOR_NAMESPACE, RELEASE } from '../stack/chart.ts';
import { render } from './render.ts';
import { type AuditEvent, auditEvents, type PolicyRule, rightsOf, rightsUsed } from './rights.ts';

const NAMESPACE = 'rights';
const USER = `system:serviceaccount:${OPERATOR_NAMESPACE}:${RELEASE}`;

/** Rights that only rare events need, and so not every run shows in use. */
const RARE: Readonly<Record<string, string>> = {
  'update linuxkitimages/finalizers.linuxkit.dev': 'asked for by an admission plug-in that is off by default',
  'update linuxkitmachines/finalizers.linuxkit.dev':
    'asked for by an admission plug-in that is off by default',
  'patch controllerrevisions.apps': 'a machine that goes back to a revision which it had before',
  'delete virtualmachineinstances.kubevirt.io': 'an instance that is stuck on a bad digest',
  'get virtualmachineinstancetypes.instancetype.kubevirt.io': 'a machine that names an instance type',
  'get virtualmachineclusterinstancetypes.instancetype.kubevirt.io': 'a machine that names an instance type',
  'patch events.events.k8s.io': 'an event that repeats within minutes',
};

/** What the operator has asked of the API server since the cluster began. */
async function asked(): Promise<readonly AuditEvent[]> {
  const cluster = await testCluster();
  const events = auditEvents(await readFile(auditFiles(cluster.dir).log, 'utf8'));
  return events.filter(({ user }) => user.username === USER);
}

async function rules(): Promise<readonly PolicyRule[]> {
  const objects = await render(inject('stack').helm, { crds: { enabled: false } }, within(60), {
    release: RELEASE,
    namespace: OPERATOR_NAMESPACE,
  });
  return objects
    .filter(
      ({ kind, metadata }) =>
        kind.endsWith('Role') && metadata.labels?.['app.kubernetes.io/component'] === 'manager',
    )
    .flatMap((role) => role['rules'] as readonly PolicyRule[]);
}

test('a life of images and machines, so that there is something to compare', async () => {
  await createNamespace(NAMESPACE);
  const broken = linuxkitConfig('x', (config) => {
    config.init = [`${REGISTRY}/linuxkit/nothing:1`];
  });
  const disk = { name: 'data', volumeClaimTemplate: { resources: { requests: { storage: '64Mi' } } } };
  const store = (whenDeleted: 'Retain' | 'Delete') =>
    linuxkitMachine(NAMESPACE, 'store', {
      imageRef: { name: 'web' },
      disks: [disk],
      persistentVolumeClaimRetentionPolicy: { whenDeleted, whenScaled: 'Delete' },
    });
  await kubectl.apply(
    [
      linuxkitImage(NAMESPACE, 'web', { config: linuxkitConfig('one'), historyLimit: 1 }),
      linuxkitImage(NAMESPACE, 'broken', { config: broken }),
      linuxkitImage(NAMESPACE, 'waiting', {
        configFrom: { secretKeyRef: { name: 'not-there', key: 'web.yml' } },
      }),
      linuxkitMachine(NAMESPACE, 'web', {
        metadata: { hostname: 'web' },
        terminationGracePeriodSeconds: 1,
        // With it a machine is moved by a restart, and not by deleting its instance.
        runStrategy: 'RerunOnFailure',
        revisionHistoryLimit: 0,
      }),
      store('Retain'),
    ],
    within(30),
  );
  const first = await artifactOf('web');
  await eventually('the broken build to fail', 120, async () => {
    const { status } = await image(NAMESPACE, 'broken');
    return status?.lastFailure;
  });
  await machineReady(NAMESPACE, 'web', first);
  await eventually('the waiting image to say what for', 60, async () =>
    condition(await image(NAMESPACE, 'waiting'), 'Ready')?.message.includes('not-there'),
  );

  await kubectl.apply(
    [linuxkitImage(NAMESPACE, 'web', { config: linuxkitConfig('two'), historyLimit: 1 }), store('Delete')],
    within(30),
  );
  const second = await eventually('a second artifact', 180, async () => {
    const { status } = await image(NAMESPACE, 'web');
    return status?.artifact?.digest === first.digest ? undefined : status?.artifact;
  });
  await machineReady(NAMESPACE, 'web', second);
  await kubectl.run(
    [`--namespace=${NAMESPACE}`, 'scale', 'linuxkitmachine/web', 'linuxkitmachine/store', '--replicas=0'],
    within(20),
  );
  await kubectl.run(
    [
      `--namespace=${NAMESPACE}`,
      'wait',
      '--for=delete',
      'virtualmachine/web-0',
      'virtualmachine/store-0',
      '--timeout=60s',
    ],
    within(70),
  );
  await kubectl.run(
    [`--namespace=${NAMESPACE}`, 'delete', 'linuxkitmachines,linuxkitimages', '--all', '--timeout=180s'],
    within(190),
  );
}, 900_000);

async function artifactOf(name: string): Promise<Artifact> {
  const { status } = await imageReady(NAMESPACE, name);
  if (status?.artifact === undefined) throw new Error(`${name} is Ready without an artifact`);
  return status.artifact;
}

test('nothing that the operator asked for was refused', async () => {
  const events = await asked();
  expect(events.length).toBeGreaterThan(50);
  const refused = events.filter(
    ({ annotations }) => annotations?.['authorization.k8s.io/decision'] !== 'allow',
  );
  expect([...new Set(refused.flatMap(rightsUsed))]).toEqual([]);
});

test('there is no right that the operator does not use', async () => {
  const allowed = rightsOf(await rules());
  expect(Object.keys(RARE).filter((right) => !allowed.has(right))).toEqual([]);
  const used = new Set((await asked()).flatMap(rightsUsed));
  expect([...allowed].filter((right) => !used.has(right) && !(right in RARE))).toEqual([]);
});

test('no rule has a wildcard, and none reaches Secrets without naming them', async () => {
  for (const rule of await rules()) {
    expect([...rule.apiGroups, ...rule.resources, ...rule.verbs]).not.toContain('*');
    if (rule.resources.includes('secrets')) expect(rule.resourceNames?.length).toBe(1);
  }
  const secrets = (await asked()).filter(({ objectRef }) => objectRef?.resource === 'secrets');
  expect(new Set(secrets.map(({ objectRef }) => objectRef?.namespace))).toEqual(
    new Set([OPERATOR_NAMESPACE]),
  );
});

test.each([
  ['view', { get: true, watch: true, create: false, delete: false }, false],
  ['edit', { get: true, create: true, patch: true, deletecollection: true }, true],
  ['admin', { list: true, update: true, delete: true }, true],
])(
  'who is bound to %s may do with images and machines as with other objects',
  async (role, verbs, scales) => {
    const user = `user-with-${role}`;
    const own = (args: readonly string[]): Promise<string> =>
      kubectl.run([`--namespace=${NAMESPACE}`, ...args], within(20));
    await own(['create', 'rolebinding', user, `--clusterrole=${role}`, `--user=${user}`]);
    const may = async (verb: string, kind: string, part = ''): Promise<boolean> => {
      const question = [
        'auth',
        'can-i',
        verb,
        `${kind}.linuxkit.dev`,
        `--subresource=${part}`,
        `--as=${user}`,
      ];
      const answer = await own(question).catch((error: { readonly log: string }) => error.log);
      expect(answer.trim()).toMatch(/^(yes|no)/);
      return answer.startsWith('yes');
    };
    for (const kind of ['linuxkitimages', 'linuxkitmachines']) {
      const allowed: Record<string, boolean> = {};
      for (const verb of Object.keys(verbs)) allowed[verb] = await may(verb, kind);
      expect(allowed).toEqual(verbs);
      expect(await may('patch', kind, 'status')).toBe(false);
    }
    expect(await may('patch', 'linuxkitmachines', 'scale')).toBe(scales);
  },
);
