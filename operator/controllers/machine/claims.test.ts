import { describe, expect, test } from 'vitest';
import { sampleArtifact, sampleMachine } from '../../kubevirt/sample.ts';
import { retainClaims } from './claims.ts';
import { FleetModel } from './fleet-model.ts';

const disks = [{ name: 'data', volumeClaimTemplate: { resources: { requests: { storage: '1Gi' } } } }];

function fleet(spec: Readonly<Record<string, unknown>> = {}): FleetModel {
  const model = new FleetModel(sampleMachine({ replicas: 3, disks, ...spec }));
  model.settle();
  return model;
}

function names(model: FleetModel): readonly string[] {
  return [...model.claims.keys()].sort((a, b) => a.localeCompare(b));
}

function owned(model: FleetModel): readonly boolean[] {
  return [...model.claims.values()].map(({ metadata }) => (metadata.ownerReferences ?? []).length > 0);
}

const ALL = ['data-web-0', 'data-web-1', 'data-web-2'];

test('claims are made before the machines that name them, once', () => {
  const model = new FleetModel(sampleMachine({ replicas: 1, disks }));
  const { actions, done } = model.pass();
  expect(actions.map(({ kind }) => kind)).toEqual(['createRevision', 'createClaim', 'applyMachine']);
  expect(done.map(({ reason }) => reason)).toEqual(['ClaimCreated', 'MachineCreated']);
  expect(model.settle().flatMap((decision) => decision.actions)).toEqual([]);
});

test('by default claims outlive scaling down, and are found again', () => {
  const model = fleet();
  model.respecify({ replicas: 1 });
  model.settle();
  expect(names(model)).toEqual(ALL);
  expect(owned(model)).toEqual([false, false, false]);
  model.respecify({ replicas: 3 });
  const made = model.settle().flatMap(({ actions }) => actions.map(({ kind }) => kind));
  expect(made).toEqual(['applyMachine', 'applyMachine']);
});

test('whenScaled Delete removes them once their machine is gone, and not before', () => {
  const model = fleet({ persistentVolumeClaimRetentionPolicy: { whenScaled: 'Delete' } });
  model.respecify({ replicas: 2 });
  const decisions = model.settle();
  const kinds = decisions.map(({ actions }) => actions.map(({ kind }) => kind));
  expect(kinds.slice(0, 2)).toEqual([['deleteMachine'], ['deleteClaim']]);
  expect(decisions.flatMap(({ done }) => done.map(({ note }) => note)).at(-1)).toMatch(
    /^deletes the claim data-web-2/,
  );
  expect(names(model)).toEqual(ALL.slice(0, 2));
});

test('a detached machine keeps its claim', () => {
  const model = fleet({ persistentVolumeClaimRetentionPolicy: { whenScaled: 'Delete' } });
  model.annotateMachine('web-2', 'linuxkit.dev/detached', 'true');
  model.respecify({ replicas: 2 });
  model.settle();
  expect(names(model)).toEqual(ALL);
});

test('whenDeleted decides who owns them, also later', () => {
  const model = fleet({ persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Delete' } });
  expect(owned(model)).toEqual([true, true, true]);
  model.respecify({ persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' } });
  model.settle();
  expect(owned(model)).toEqual([false, false, false]);
  model.respecify({ persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Delete', whenScaled: 'Retain' } });
  model.settle();
  expect(owned(model)).toEqual([true, true, true]);
});

describe('never touched', () => {
  const machine = sampleMachine({
    replicas: 0,
    persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Delete', whenScaled: 'Delete' },
  });
  test.each([
    ['a claim without our label', { labels: {} }],
    ['a claim of another machine', { labels: { 'linuxkit.dev/machine': 'db', 'linuxkit.dev/ordinal': '0' } }],
    ['a claim without ordinal', { labels: { 'linuxkit.dev/machine': 'web' } }],
    [
      'a claim that is going',
      {
        labels: { 'linuxkit.dev/machine': 'web', 'linuxkit.dev/ordinal': '0' },
        deletionTimestamp: '2026-11-24T12:00:00Z',
      },
    ],
  ])('%s', (_title, metadata) => {
    const model = new FleetModel(machine);
    const claims = [{ metadata: { name: 'data-web-0', uid: 'u', ...metadata } }];
    expect(retainClaims({ ...model.snapshot(), claims })).toEqual([]);
  });

  test('owners that others have set', () => {
    const model = fleet();
    const other = { apiVersion: 'v1', kind: 'Pod', name: 'x', uid: 'x' };
    for (const [name, claim] of model.claims)
      model.claims.set(name, { metadata: { ...claim.metadata, ownerReferences: [other] } });
    expect(model.pass().actions).toEqual([]);
    model.respecify({
      persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Delete', whenScaled: 'Retain' },
    });
    expect(model.pass().actions[0]).toMatchObject({
      kind: 'ownClaim',
      ownerReferences: [{ uid: 'x' }, { uid: 'machine-uid' }],
    });
  });
});

test('another artifact uses the same claims', () => {
  const model = fleet();
  model.artifact = sampleArtifact({}, 'b');
  model.settle();
  expect(names(model)).toEqual(ALL);
});
