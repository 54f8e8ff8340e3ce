import { expect, test } from 'vitest';
import { sampleMachine } from '../../kubevirt/sample.ts';
import { deletionOf } from './deletion.ts';
import { FleetModel } from './fleet-model.ts';
import type { Snapshot } from './snapshot.ts';

const now = new Date('2026-11-24T12:00:00Z');

function deleted(finalizers: readonly string[] = ['linuxkit.dev/virtual-machines']): FleetModel {
  const model = new FleetModel(sampleMachine({ replicas: 2 }));
  model.settle();
  const metadata = { ...model.spec.metadata, deletionTimestamp: '2026-11-24T12:00:00Z', finalizers };
  model.spec = { ...model.spec, metadata };
  return model;
}

test('removes the virtual machines, and waits until they are gone, saying what they boot', () => {
  const model = deleted();
  const { actions, status } = deletionOf(model.snapshot(), now);
  expect(actions.map((action) => `${action.kind} ${'name' in action ? action.name : ''}`)).toEqual([
    'deleteMachine web-0',
    'deleteMachine web-1',
  ]);
  expect(status).toMatchObject({
    replicas: 2,
    targetDigest: model.artifact.digest,
    revisions: [{ digest: model.artifact.digest }],
    machines: [
      { name: 'web-0', bootedDigest: model.artifact.digest, message: 'is being removed' },
      { name: 'web-1' },
    ],
  });
  expect(status?.conditions?.find(({ type }) => type === 'Ready')).toMatchObject({
    status: 'False',
    reason: 'Deleting',
    message: '2 virtual machines are being removed',
  });
});

test('asks once', () => {
  const snapshot = deleted().snapshot();
  const going: Snapshot = {
    ...snapshot,
    virtualMachines: snapshot.virtualMachines.map((vm) => ({
      ...vm,
      metadata: { ...vm.metadata, deletionTimestamp: '2026-11-24T12:00:00Z' },
    })),
  };
  expect(deletionOf(going, now)).toMatchObject({ actions: [], status: { replicas: 2 } });
});

test('lets go when nothing of ours is left, whoever else has the names', () => {
  const model = deleted();
  const foreign = model.snapshot().virtualMachines.map((vm) => ({
    ...vm,
    metadata: { ...vm.metadata, ownerReferences: [] },
  }));
  expect(deletionOf({ ...model.snapshot(), virtualMachines: foreign }, now)).toEqual({
    actions: [],
    status: undefined,
  });
});

test('deleted with --cascade=orphan, it goes alone', () => {
  const model = deleted(['linuxkit.dev/virtual-machines', 'orphan']);
  expect(deletionOf(model.snapshot(), now)).toEqual({ actions: [], status: undefined });
});
