import { describe, expect, it } from 'vitest';
import type { Migration, Pod, VirtualMachineInstance } from '../api/types.ts';
import type { DomainState } from '../launcher/domain.ts';
import { MIGRATION_LABEL, SOURCE_POD_ANNOTATION } from '../launcher/launcher-pod.ts';
import { deleted, later, NOW, sampleInstance, samplePod } from '../sample.ts';
import { BANDWIDTH_ANNOTATION, MIGRATION_FINALIZER, nextForMigration } from './migration.ts';

const source = samplePod({ running: {} });
const gone = samplePod({ terminated: { exitCode: 0, message: 'migrated' } });
const crashed = samplePod({ terminated: { exitCode: 1 } });
const running = sampleInstance({
  phase: 'Running',
  conditions: [{ type: 'LiveMigratable', status: 'True' }],
});

function target(state: Parameters<typeof samplePod>[0]): Pod {
  return samplePod(state, ({ metadata, status }) => {
    metadata.name = 'target';
    metadata.labels = { [MIGRATION_LABEL]: 'm1' };
    metadata.annotations = { [SOURCE_POD_ANNOTATION]: source.metadata.name };
    if (status !== undefined) status.podIP = '10.0.0.10';
  });
}

function migration(phase: string, change: (each: Migration) => void = () => undefined): Migration {
  const made: Migration = {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachineInstanceMigration',
    metadata: { name: 'm', namespace: 'ns', uid: 'm1', finalizers: [MIGRATION_FINALIZER] },
    spec: { vmiName: 'vm' },
    status: { phase },
  };
  change(made);
  return made;
}

function look(
  of: Migration,
  pods: Pod[],
  domains: { source?: DomainState; target?: DomainState } = {},
  vmi: VirtualMachineInstance | undefined = running,
) {
  return nextForMigration({
    migration: of,
    vmi,
    pods,
    source: domains.source,
    target: domains.target,
    claims: new Map(),
    launcherImage: 'launcher',
    now: NOW,
  });
}

const starting = target({ waiting: {} });
const waits = target({ running: {} });

describe('a migration goes on', () => {
  it('from nothing to Pending, with its finalizer', () => {
    expect(
      look(
        migration('', (each) => delete each.metadata.finalizers),
        [source],
      ),
    ).toEqual({
      finalizers: [MIGRATION_FINALIZER],
    });
    expect(look(migration(''), [source])).toEqual({ phase: 'Pending' });
  });

  it('with a pod that waits for the machine', () => {
    const { createPod } = look(migration('Pending'), [source]);
    expect(createPod?.metadata).toMatchObject({
      name: 'virt-launcher-vm-m1',
      labels: { [MIGRATION_LABEL]: 'm1' },
      annotations: { [SOURCE_POD_ANNOTATION]: source.metadata.name },
    });
    expect(JSON.stringify(createPod?.spec)).toContain('-incoming');
    expect(look(migration('Pending'), [source, starting])).toEqual({ phase: 'Scheduling' });
  });

  it.each<[string, Pod, DomainState | undefined, object]>([
    ['Scheduling', starting, undefined, {}],
    [
      'Scheduling',
      waits,
      undefined,
      {
        phase: 'Scheduled',
        state: { sourcePod: source.metadata.name, targetPod: 'target', migrationUid: 'm1' },
      },
    ],
    ['Scheduled', waits, undefined, { phase: 'PreparingTarget' }],
    ['PreparingTarget', waits, { state: 'starting' }, {}],
    [
      'PreparingTarget',
      waits,
      { state: 'incoming' },
      { phase: 'TargetReady', state: { targetNodeAddress: '10.0.0.10' } },
    ],
    [
      'TargetReady',
      waits,
      { state: 'incoming' },
      {
        phase: 'Running',
        state: { startTimestamp: '2026-01-02T03:04:05Z' },
        send: { from: '10.0.0.9', to: '10.0.0.10:65398', block: false },
      },
    ],
  ])('in %s: %#', (phase, pod, domain, step) => {
    const found = look(migration(phase), [source, pod], domain === undefined ? {} : { target: domain });
    expect(found).toMatchObject(step);
    expect(found.phase).toBe((step as { phase?: string }).phase);
  });

  it('as slowly as a test wants', () => {
    const slow = migration('TargetReady', (each) => {
      each.metadata.annotations = { [BANDWIDTH_ANNOTATION]: '1Mi' };
    });
    expect(look(slow, [source, waits], { target: { state: 'incoming' } }).send?.bandwidth).toBe(1_048_576);
  });

  it('until the machine runs in the other pod', () => {
    const active = {
      source: { state: 'running', migration: { status: 'active' } },
      target: { state: 'incoming' },
    } as const;
    expect(look(migration('Running'), [source, waits], active)).toEqual({});
    expect(look(migration('Running'), [gone, waits], { target: { state: 'incoming' } })).toEqual({});
    expect(look(migration('Running'), [gone, waits], { target: { state: 'running' } })).toEqual({
      phase: 'Succeeded',
      state: { endTimestamp: '2026-01-02T03:04:05Z', completed: true },
      evacuated: true,
    });
  });

  it('when the order to send was lost', () => {
    const { phase, send } = look(migration('Running'), [source, waits], { source: { state: 'running' } });
    expect([phase, send?.to]).toEqual([undefined, '10.0.0.10:65398']);
  });
});

describe('a migration fails', () => {
  const handed = sampleInstance({ ...running.status, migrationState: { migrationUid: 'm1' } });
  it.each<[string, string, Pod[], { source?: DomainState; target?: DomainState }, VirtualMachineInstance]>([
    [
      'the instance ends',
      'Scheduling',
      [source, starting],
      {},
      sampleInstance({ phase: 'Failed', migrationState: { migrationUid: 'm1' } }),
    ],
    [
      'the instance is deleted',
      'Running',
      [source, waits],
      {},
      sampleInstance({ ...handed.status }, deleted),
    ],
    ['the target pod ends', 'Scheduled', [source, target({ terminated: { exitCode: 1 } })], {}, handed],
    ['the target cannot start', 'PreparingTarget', [source, waits], { target: { state: 'failed' } }, handed],
    [
      'QEMU gives up',
      'Running',
      [source, waits],
      { source: { state: 'running', migration: { status: 'failed', message: 'x' } } },
      handed,
    ],
    ['the source crashes', 'Running', [crashed, waits], {}, handed],
    ['the target pod goes away', 'Running', [source], {}, handed],
  ])('when %s', (_name, phase, pods, domains, vmi) => {
    const step = look(migration(phase), pods, domains, vmi);
    expect(step).toMatchObject({ phase: 'Failed', state: { completed: true, failed: true } });
    expect(step.deletePod).toBe(pods.length > 1 ? 'target' : undefined);
  });

  it('when its target pod does not come to run in five minutes', () => {
    const since = (seconds: number) =>
      migration('Scheduling', ({ status }) => {
        const phaseTransitionTimestamp = later(-seconds).toISOString();
        if (status !== undefined)
          status.phaseTransitionTimestamps = [{ phase: 'Scheduling', phaseTransitionTimestamp }];
      });
    expect(look(since(300), [source, starting])).toEqual({});
    expect(look(since(301), [source, starting])).toMatchObject({ phase: 'Failed', deletePod: 'target' });
  });

  it('before the instance knew of it, without a trace there', () => {
    const stuck = sampleInstance({
      phase: 'Running',
      conditions: [{ type: 'LiveMigratable', status: 'False' }],
    });
    expect(look(migration('Pending'), [source], {}, stuck)).toEqual({ phase: 'Failed' });
  });

  it('when it is deleted: before it runs at once, then by being cancelled', () => {
    expect(look(migration('Scheduling', deleted), [source, starting])).toMatchObject({
      phase: 'Failed',
      deletePod: 'target',
    });
    const domains = { source: { state: 'running', migration: { status: 'active' } } } as const;
    expect(look(migration('Running', deleted), [source, waits], domains)).toEqual({
      cancel: { from: '10.0.0.9' },
    });
    expect(look(migration('Failed', deleted), [source])).toEqual({ finalizers: [] });
    expect(look(migration('Failed'), [source])).toEqual({});
  });
});
