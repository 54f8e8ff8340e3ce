import { describe, expect, test } from 'vitest';
import { type UpdatePolicy, updatePolicy } from '../../api/machine.ts';
import { sampleArtifact, sampleDigest, sampleMachine } from '../../kubevirt/sample.ts';
import type { Decision } from './actions.ts';
import { FleetModel } from './fleet-model.ts';

const [A, B] = [sampleDigest('a'), sampleDigest('b')];

function fleet(spec: Readonly<Record<string, unknown>>): FleetModel {
  const model = new FleetModel(sampleMachine({ replicas: 4, ...spec }));
  model.settle();
  return model;
}

function update(model: FleetModel, policy: Partial<UpdatePolicy>): void {
  model.respecify({ update: { ...updatePolicy(model.spec.spec), ...policy } });
}

function restarted(decisions: readonly Decision[]): readonly string[] {
  return decisions.flatMap(({ actions }) =>
    actions.flatMap((action) => (action.kind === 'deleteInstance' ? [`${action.why} ${action.name}`] : [])),
  );
}

describe('OnRestart', () => {
  test('lays a revision ready, and each machine takes it when it starts again', () => {
    const model = fleet({ update: { strategy: 'OnRestart' } });
    model.artifact = sampleArtifact({}, 'b');
    expect(restarted(model.settle())).toEqual([]);
    expect(model.digests).toEqual([A, A, A, A]);
    expect(model.names.map((name) => model.laid(name))).toEqual([B, B, B, B]);
    expect(model.condition('Ready')).toMatch(
      /^True UpdateStaged: 0 of 4 run sha256:b+ .*; 4 take it when they start again$/,
    );
    model.crash('web-2');
    model.settle();
    expect(model.digests).toEqual([A, A, B, A]);
    expect(model.spec.status).toMatchObject({ updatedReplicas: 1, currentDigest: A });
  });

  test('restarts those whose restart is asked for, one at a time', () => {
    const model = fleet({ update: { strategy: 'OnRestart' } });
    model.artifact = sampleArtifact({}, 'b');
    model.settle();
    model.annotate({ 'linuxkit.dev/restart-requested-at': 'T1' });
    expect(restarted(model.settle())).toEqual([
      'Rollout web-3',
      'Rollout web-2',
      'Rollout web-1',
      'Rollout web-0',
    ]);
    expect(model.condition('Ready')).toMatch(/^True UpToDate/);
  });

  test('takes back what was laid ready when it failed where it was taken', () => {
    const model = fleet({ update: { strategy: 'OnRestart', progressDeadlineSeconds: 60 } });
    model.artifact = sampleArtifact({}, 'b');
    model.broken.add(B);
    model.settle();
    model.crash('web-1');
    model.settle();
    expect(model.digests).toEqual([A, B, A, A]);
    model.now += 70_000;
    model.settle();
    expect(model.names.map((name) => model.laid(name))).toEqual([A, A, A, A]);
    expect(model.digests).toEqual([A, A, A, A]);
  });

  test('and halted, lets those that run keep what they have', () => {
    const model = fleet({
      update: { strategy: 'OnRestart', progressDeadlineSeconds: 60, onFailure: 'Halt' },
    });
    model.artifact = sampleArtifact({}, 'b');
    model.broken.add(B);
    model.settle();
    model.crash('web-1');
    model.settle();
    model.now += 70_000;
    model.settle();
    expect(model.names.map((name) => model.laid(name))).toEqual([A, B, A, A]);
  });
});

describe('Manual', () => {
  test('waits for the command, and keeps what there is meanwhile', () => {
    const model = fleet({ update: { strategy: 'Manual' } });
    model.artifact = sampleArtifact({}, 'b');
    model.settle();
    model.crash('web-2');
    model.respecify({ replicas: 5, kernelArgs: 'debug' });
    model.settle();
    expect(model.digests).toEqual([A, A, A, A, A]);
    expect(model.condition('Ready')).toMatch(
      /^True UpdatePending: 5 of 5 .*; web-[0-9a-f]+, artifact sha256:b+, waits to be asked for$/,
    );
    model.annotate({ 'linuxkit.dev/update-requested-at': 'T1' });
    expect(restarted(model.settle())).toHaveLength(5);
    expect(model.digests).toEqual([B, B, B, B, B]);
    expect(model.condition('Ready')).toMatch(/^True UpToDate/);
    model.artifact = sampleArtifact();
    model.settle();
    expect(model.digests).toEqual([B, B, B, B, B]);
  });

  test('rolls back as well what was taken by command', () => {
    const model = fleet({ update: { strategy: 'Manual', progressDeadlineSeconds: 60 } });
    model.artifact = sampleArtifact({}, 'b');
    model.broken.add(B);
    model.annotate({ 'linuxkit.dev/update-requested-at': 'T1' });
    model.settle();
    // Meanwhile there is something newer yet, which nobody has asked for.
    model.artifact = sampleArtifact({}, 'c');
    model.now += 70_000;
    model.settle();
    expect(model.digests).toEqual([A, A, A, A]);
    expect(model.condition('Ready')).toMatch(/^True UpdatePending/);
  });
});

describe('a partition', () => {
  test('holds a revision back from the ordinals below it, whatever happens to them', () => {
    const model = fleet({ update: { partition: 2 } });
    model.artifact = sampleArtifact({}, 'b');
    expect(restarted(model.settle())).toEqual(['Rollout web-3', 'Rollout web-2']);
    expect(model.condition('Ready')).toMatch(
      /^True PartitionReached: 2 of 4 .*; 2 below partition 2 keep what they have$/,
    );
    model.crash('web-0');
    model.machines.delete('web-1');
    model.settle();
    expect(model.digests).toEqual([A, A, B, B]);
    update(model, { partition: 0 });
    model.settle();
    expect(model.digests).toEqual([B, B, B, B]);
    expect(model.condition('Ready')).toMatch(/^True UpToDate/);
  });

  test('raised in the course of a rollout stops it, and lets those that have moved be', () => {
    const model = fleet({});
    model.artifact = sampleArtifact({}, 'b');
    model.pass();
    update(model, { partition: 4 });
    model.settle();
    expect(model.digests.filter((digest) => digest === B).length).toBeLessThanOrEqual(1);
    expect(restarted(model.settle())).toEqual([]);
  });

  test('does not keep back machines that have to go back', () => {
    const model = fleet({ update: { progressDeadlineSeconds: 60 } });
    model.artifact = sampleArtifact({}, 'b');
    model.broken.add(B);
    model.settle();
    expect(model.digests).toEqual([A, A, A, B]);
    model.now += 70_000;
    model.pass();
    update(model, { partition: 4 });
    model.settle();
    expect(model.digests).toEqual([A, A, A, A]);
  });
});

describe('a maintenance window', () => {
  // The model begins on a Tuesday at noon.
  const nightly = { maintenanceWindow: { schedule: '0 2 * * *', duration: '1h', timeZone: 'UTC' } };

  test('holds machines that serve back until it opens', () => {
    const model = fleet({ update: nightly });
    model.artifact = sampleArtifact({}, 'b');
    model.settle();
    expect(model.digests).toEqual([A, A, A, A]);
    expect(model.condition('Ready')).toMatch(
      /^True WaitingForWindow: 0 of 4 .*; 4 wait for the maintenance window, which opens 2026-11-25T02:00:00.000Z$/,
    );
    expect(model.pass().requeueAfterMs).toBe(14 * 3_600_000);
    model.now += 14 * 3_600_000;
    model.pass();
    // It closes: the one that was begun is finished, the others wait for the next night.
    model.now += 3_600_000;
    model.settle();
    expect(model.digests).toEqual([A, A, A, B]);
  });

  test('is not waited for by a machine that does not serve, nor by a restart that is asked for', () => {
    const model = fleet({ update: nightly });
    model.broken.add(A);
    model.crash('web-1');
    model.settle();
    model.artifact = sampleArtifact({}, 'b');
    model.settle();
    expect(model.digests).toEqual([A, B, A, A]);
    model.annotate({ 'linuxkit.dev/restart-requested-at': 'T1' });
    model.settle();
    expect(model.digests).toEqual([B, B, B, B]);
  });

  test('that cannot be read is said to be wrong, and nothing new is begun', () => {
    const model = fleet({});
    update(model, { maintenanceWindow: { schedule: '0 25 * * *', duration: '1h', timeZone: 'UTC' } });
    model.artifact = sampleArtifact({}, 'b');
    model.settle();
    expect(model.digests).toEqual([A, A, A, A]);
    expect(model.condition('Ready')).toMatch(
      /^False InvalidMachine: spec\.update\.maintenanceWindow\.schedule: hour/,
    );
  });
});

describe('slots', () => {
  test('hold machines back that serve, and say so', () => {
    const model = fleet({ update: { maxUnavailable: 3 } });
    model.artifact = sampleArtifact({}, 'b');
    model.slots = { cluster: 2, namespace: 5, node: () => 5 };
    const decision = model.pass();
    expect(restarted([decision])).toEqual(['Rollout web-2', 'Rollout web-3']);
    expect(decision).toMatchObject({ waitsForSlot: true, transits: [{ namespace: 'default' }, {}] });
    expect(model.condition('Ready')).toMatch(/^False WaitingForSlot: 0 of 4 .*; 4 wait until fewer machines/);
    // Its own that are on their way count as well.
    expect(restarted([model.pass()])).toEqual([]);
    model.settle();
    expect(model.digests).toEqual([B, B, B, B]);
  });

  test('do not hold back one that does not serve', () => {
    const model = fleet({});
    model.broken.add(A);
    model.crash('web-1');
    model.settle();
    model.slots = { cluster: 0, namespace: 0, node: () => 0 };
    model.artifact = sampleArtifact({}, 'b');
    expect(restarted([model.pass()])).toEqual(['Rollout web-1']);
  });
});

describe('a paused machine', () => {
  test('is left alone altogether, and its requests wait', () => {
    const model = fleet({});
    model.annotate({ 'linuxkit.dev/paused': '', 'linuxkit.dev/rollback-to': 'previous' });
    model.artifact = sampleArtifact({}, 'b');
    model.machines.delete('web-1');
    model.respecify({ replicas: 3 });
    expect(model.settle().flatMap(({ actions }) => actions)).toEqual([]);
    expect(model.condition('Ready')).toMatch(
      /^False Paused: machines are left alone; 2 of 3 are as they should be$/,
    );
    expect(model.spec.status?.conditions?.map(({ type }) => type).sort()).toEqual(['Paused', 'Ready']);
    expect(model.spec.status).not.toHaveProperty('lastHandledRollback');
    model.annotate({ 'linuxkit.dev/paused': 'false' });
    model.settle();
    expect(model.digests).toEqual([B, B, B]);
  });
});

describe('a detached machine', () => {
  test('is left alone, and counts neither as up nor as down', () => {
    const model = fleet({});
    model.annotateMachine('web-3', 'linuxkit.dev/detached', 'true');
    model.crash('web-3');
    model.artifact = sampleArtifact({}, 'b');
    expect(restarted(model.settle())).toEqual(['Rollout web-2', 'Rollout web-1', 'Rollout web-0']);
    expect(model.digests).toEqual([B, B, B, A]);
    expect(model.condition('Ready')).toMatch(/^True UpToDate: 3 of 3 run .*, 1 detached$/);
    expect(model.spec.status?.machines?.[3]).toMatchObject({ name: 'web-3', detached: true, updated: false });
    model.annotateMachine('web-3', 'linuxkit.dev/detached', 'false');
    model.settle();
    expect(model.digests).toEqual([B, B, B, B]);
  });

  test('stays when replicas does not ask for it any more', () => {
    const model = fleet({});
    model.annotateMachine('web-3', 'linuxkit.dev/detached', 'true');
    model.respecify({ replicas: 2 });
    model.settle();
    expect([...model.machines.keys()]).toEqual(['web-0', 'web-1', 'web-3']);
    expect(model.spec.status?.machines?.[2]).toMatchObject({ name: 'web-3', detached: true });
    expect(model.condition('Ready')).toMatch(/^True UpToDate/);
  });
});

describe('scaling up in the middle of a rollout', () => {
  test('makes machines with what works while the new is being tried, and with the new once it came up', () => {
    const model = fleet({});
    model.artifact = sampleArtifact({}, 'b');
    model.pass();
    model.respecify({ replicas: 6 });
    model.pass();
    expect(model.laid('web-4')).toBe(A);
    for (let step = 0; step < 5; step += 1) model.advance('web-3');
    model.respecify({ replicas: 8 });
    model.pass();
    expect(model.laid('web-7')).toBe(B);
    model.settle();
    expect(model.digests).toEqual(Array.from({ length: 8 }, () => B));
  });
});
