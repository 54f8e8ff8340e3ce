import { describe, expect, it } from 'vitest';
import type { Condition, Migration } from '../api/types.ts';
import { MIGRATION_LABEL, SOURCE_POD_ANNOTATION } from '../launcher/launcher-pod.ts';
import { deleted, later, NOW, sampleInstance, samplePod } from '../sample.ts';
import { answerEviction, evacuation, migrationRefusal } from './eviction.ts';

const pod = samplePod({ running: {} });

function instance(evictionStrategy: string | undefined, migratable: boolean, phase = 'Running') {
  const conditions: Condition[] = [
    { type: 'LiveMigratable', status: migratable ? 'True' : 'False', reason: 'R', message: 'M' },
  ];
  return sampleInstance({ phase, nodeName: 'node', conditions }, ({ spec }) => {
    if (evictionStrategy !== undefined) spec.evictionStrategy = evictionStrategy;
  });
}

function migration(phase?: string): Migration {
  return {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachineInstanceMigration',
    metadata: { name: 'm', namespace: 'ns', uid: 'm1' },
    spec: { vmiName: 'vm' },
    ...(phase === undefined ? {} : { status: { phase } }),
  };
}

describe('an eviction', () => {
  it.each([
    ['LiveMigrate', true, false, 'node', 'triggered evacuation'],
    ['LiveMigrate', false, false, undefined, 'not live-migratable'],
    ['LiveMigrateIfPossible', true, false, 'node', 'triggered evacuation'],
    ['LiveMigrateIfPossible', false, true, undefined, undefined],
    ['External', false, false, 'node', 'triggered evacuation'],
    ['None', true, true, undefined, undefined],
    [undefined, true, true, undefined, undefined],
  ])('under %s of a machine that can move: %s', (strategy, migratable, allowed, node, message) => {
    const answer = answerEviction(instance(strategy, migratable), pod, [pod]);
    expect(answer.allowed).toBe(allowed);
    expect(answer.evacuationNodeName).toBe(node);
    if (message !== undefined) expect(answer.message).toContain(message);
  });

  it('of a pod that the machine is not in is nobody’s loss', () => {
    const target = samplePod({ running: {} }, ({ metadata }) => {
      metadata.name = 'target';
      metadata.labels = { [MIGRATION_LABEL]: 'm' };
      metadata.annotations = { [SOURCE_POD_ANNOTATION]: pod.metadata.name };
    });
    expect(answerEviction(instance('LiveMigrate', true), target, [pod, target]).allowed).toBe(true);
    expect(answerEviction(instance('LiveMigrate', true, 'Succeeded'), pod, [pod]).allowed).toBe(true);
    expect(answerEviction(undefined, pod, [pod]).allowed).toBe(true);
  });
});

describe('an evacuation', () => {
  const marked = (strategy: string) => {
    const vmi = instance(strategy, true);
    return { ...vmi, status: { ...vmi.status, evacuationNodeName: 'node' } };
  };

  it('makes one migration, and another after that is over', () => {
    expect(evacuation(marked('LiveMigrate'), [], NOW)?.metadata.name).toBe('kubevirt-evacuation-i1-01234-0');
    expect(evacuation(marked('LiveMigrate'), [migration('Running')], NOW)).toBeUndefined();
    expect(evacuation(marked('LiveMigrate'), [migration('Failed')], NOW)?.metadata.name).toBe(
      'kubevirt-evacuation-i1-01234-1',
    );
  });

  it('waits longer and longer after migrations that fail', () => {
    const failed = (name: string, seconds: number): Migration => {
      const made = migration('Failed');
      made.metadata.name = name;
      const phaseTransitionTimestamp = later(seconds).toISOString();
      made.status = {
        phase: 'Failed',
        phaseTransitionTimestamps: [{ phase: 'Failed', phaseTransitionTimestamp }],
      };
      return made;
    };
    const names = [failed('kubevirt-evacuation-i1-01234-2', 0), failed('b', 5)];
    expect(evacuation(marked('LiveMigrate'), names, later(44))).toBeUndefined();
    expect(evacuation(marked('LiveMigrate'), names, later(45))?.metadata.name).toBe(
      'kubevirt-evacuation-i1-01234-3',
    );
  });

  it('is left to others, or not needed', () => {
    expect(evacuation(marked('External'), [], NOW)).toBeUndefined();
    expect(evacuation(instance('LiveMigrate', true), [], NOW)).toBeUndefined();
    const going = marked('LiveMigrate');
    deleted(going);
    expect(evacuation(going, [], NOW)).toBeUndefined();
  });
});

it.each([
  [undefined, [], 'does not exist'],
  [instance('None', true, 'Failed'), [], 'finalized state'],
  [instance('None', false), [], 'Cannot migrate VMI, Reason: R, Message: M'],
  [instance('None', true), [migration('Running')], 'in-flight migration detected. Active migration job (m1)'],
  [instance('None', true), [migration('Succeeded')], undefined],
])('a migration is refused: %#', (vmi, migrations, message) => {
  const refusal = migrationRefusal(migration(), vmi, migrations);
  if (message === undefined) expect(refusal).toBeUndefined();
  else expect(refusal).toContain(message);
});
