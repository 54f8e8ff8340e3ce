import { describe, expect, it } from 'vitest';
import type { ControllerRevision, VirtualMachine, VirtualMachineInstance } from '../api/types.ts';
import { KUBEVIRT_PAUSES } from '../pauses.ts';
import { deleted, later, NOW, sampleInstance, sampleMachine } from '../sample.ts';
import { startRevision } from './revisions.ts';
import { nextForVirtualMachine, VM_FINALIZER, VMI_FINALIZER } from './virtual-machine.ts';
import { GENERATION_ANNOTATION } from './virtual-machine-status.ts';

function look(
  vm: VirtualMachine,
  vmi?: VirtualMachineInstance,
  { revision, now = NOW }: { revision?: ControllerRevision; now?: Date } = {},
) {
  const resolved = { sizing: {}, revisions: [] };
  return nextForVirtualMachine({ vm, vmi, revision, resolved, now, pauses: KUBEVIRT_PAUSES });
}

const types = (conditions: readonly { type: string }[] | undefined) => conditions?.map(({ type }) => type);

describe('starting', () => {
  it('makes an instance of the template, which knows the generation and the revision that it is of', () => {
    const vm = sampleMachine((each) => {
      each.spec.template.metadata = { labels: { app: 'x' }, annotations: { a: 'b' } };
    });
    const { createInstance, createRevisions, tell } = look(vm);
    expect(createInstance).toMatchObject({
      metadata: {
        name: 'vm',
        labels: { app: 'x' },
        annotations: { a: 'b', [GENERATION_ANNOTATION]: '3' },
        finalizers: [VMI_FINALIZER],
        ownerReferences: [{ uid: 'u1', controller: true }],
      },
      spec: vm.spec.template.spec,
      status: { virtualMachineRevisionName: 'revision-start-vm-u1-3' },
    });
    expect(createRevisions).toMatchObject([
      { metadata: { name: 'revision-start-vm-u1-3' }, data: { spec: vm.spec } },
    ]);
    expect(tell).toMatchObject([{ reason: 'SuccessfulCreate' }]);
  });

  it('puts its finalizer and two annotations on the machine', () => {
    const step = look(sampleMachine((vm) => delete vm.metadata.finalizers));
    expect(step.finalizers).toEqual([VM_FINALIZER]);
    expect(step.annotations).toEqual({
      'kubevirt.io/latest-observed-api-version': 'v1',
      'kubevirt.io/storage-observed-api-version': 'v1',
    });
    const vm = sampleMachine((each) => Object.assign(each.metadata, { annotations: step.annotations }));
    expect(look(vm).annotations).toBeUndefined();
  });

  it('fails for a template without memory: on the machine alone, with the time of the first failure', () => {
    const step = look(sampleMachine((vm) => delete vm.spec.template.spec.domain.memory));
    expect(step.createInstance).toBeUndefined();
    expect(step.status?.printableStatus).toBe('Stopped');
    const failure = step.status?.conditions?.find(({ type }) => type === 'Failure');
    expect(failure).toMatchObject({ status: 'True', reason: 'FailedCreate' });
    expect(step.tell).toMatchObject([{ type: 'Warning', reason: 'FailedCreate' }]);
    const again = sampleMachine((vm) => {
      delete vm.spec.template.spec.domain.memory;
      if (step.status !== undefined) vm.status = step.status;
    });
    expect(look(again, undefined, { now: later(60) }).status).toEqual(step.status);
  });

  it('waits after a start that failed', () => {
    const failed = look(sampleMachine(), sampleInstance({ phase: 'Failed' })).status;
    const vm = sampleMachine((each) => {
      if (failed !== undefined) each.status = failed;
    });
    expect(look(vm).status?.printableStatus).toBe('CrashLoopBackOff');
    expect(look(vm, undefined, { now: later(12) }).createInstance).toBeUndefined();
    expect(look(vm, undefined, { now: later(13) }).createInstance).toBeDefined();
  });
});

describe('status', () => {
  it('leaves out created, ready and observedGeneration where there is no instance', () => {
    const { status } = look(sampleMachine());
    expect(status).toMatchObject({ desiredGeneration: 3, runStrategy: 'Always' });
    for (const key of ['ready', 'created', 'observedGeneration']) expect(status).not.toHaveProperty(key);
    expect(status?.conditions).toMatchObject([{ type: 'Ready', status: 'False', reason: 'VMINotExists' }]);
  });

  it('has the generation that the instance was made from, not the one that was seen', () => {
    const vm = sampleMachine((each) => Object.assign(each.metadata, { generation: 9 }));
    expect(look(vm, sampleInstance({ phase: 'Running' })).status).toMatchObject({
      created: true,
      observedGeneration: 3,
      desiredGeneration: 9,
    });
  });

  it('copies the conditions of the instance, and keeps them when it is gone', () => {
    const conditions = [
      { type: 'Ready', status: 'True' as const },
      { type: 'LiveMigratable', status: 'True' as const },
    ];
    const { status } = look(sampleMachine(), sampleInstance({ phase: 'Running', conditions }));
    expect(types(status?.conditions)).toEqual(['Ready', 'LiveMigratable']);
    expect(status?.ready).toBe(true);
    const stopped = sampleMachine((vm) => {
      if (status !== undefined) vm.status = status;
    });
    expect(types(look(stopped).status?.conditions)).toEqual(['Ready', 'LiveMigratable']);
    const other = sampleInstance({ phase: 'Scheduling', conditions: [] });
    expect(types(look(stopped, other).status?.conditions)).toEqual(['Ready']);
  });

  it('may be ready and Stopped at once, while an ended instance has not been looked at again', () => {
    const vmi = sampleInstance({ phase: 'Succeeded', conditions: [{ type: 'Ready', status: 'True' }] });
    const vm = sampleMachine((each) => Object.assign(each.spec, { runStrategy: 'Once' }));
    expect(look(vm, vmi).status).toMatchObject({ printableStatus: 'Stopped', ready: true });
  });
});

describe('a change of the machine', () => {
  const revision = startRevision(sampleMachine());
  const changed = sampleMachine((vm) => {
    vm.metadata.generation = 4;
    Object.assign(vm.spec.template.spec, { terminationGracePeriodSeconds: 1 });
  });

  it('shows RestartRequired without a reason, and takes it back with the change', () => {
    const vmi = sampleInstance({ phase: 'Running' });
    const { status } = look(changed, vmi, { revision });
    const condition = status?.conditions?.find(({ type }) => type === 'RestartRequired');
    expect(condition?.status).toBe('True');
    expect(condition).not.toHaveProperty('reason');
    expect(status?.printableStatus).toBe('Running');
    expect(types(look(sampleMachine(), vmi, { revision }).status?.conditions)).not.toContain(
      'RestartRequired',
    );
  });

  it('is no more to be restarted for once the instance goes', () => {
    const vmi = sampleInstance({ phase: 'Running' }, deleted);
    expect(types(look(changed, vmi, { revision }).status?.conditions)).not.toContain('RestartRequired');
  });

  it('leaves an instance that hangs at a bad image where it is', () => {
    const vmi = sampleInstance({
      phase: 'Scheduling',
      conditions: [{ type: 'Synchronized', status: 'False', reason: 'ImagePullBackOff' }],
    });
    const step = look(changed, vmi, { revision });
    expect(step.deleteInstance).toBeUndefined();
    expect(step.status?.printableStatus).toBe('ImagePullBackOff');
    expect(types(step.status?.conditions)).toContain('RestartRequired');
  });

  it('raises the generation of an instance whose template is still the same', () => {
    const vm = sampleMachine((each) => {
      each.metadata.generation = 4;
      each.spec.runStrategy = 'Manual';
    });
    expect(look(vm, sampleInstance({ phase: 'Running' }), { revision }).patchInstance).toEqual({
      metadata: { annotations: { [GENERATION_ANNOTATION]: '4' } },
    });
    expect(look(changed, sampleInstance({ phase: 'Running' }), { revision }).patchInstance).toBeUndefined();
  });

  it('reaches the running instance where it is about scheduling', () => {
    const vm = sampleMachine((each) => {
      each.metadata.generation = 4;
      each.spec.template.spec.nodeSelector = { a: 'b' };
    });
    expect(look(vm, sampleInstance({ phase: 'Running' }), { revision }).patchInstance).toEqual({
      spec: { nodeSelector: { a: 'b' } },
    });
    const taken = sampleInstance({ phase: 'Running' }, (vmi) =>
      Object.assign(vmi.spec, { nodeSelector: { a: 'b' } }),
    );
    expect(look(vm, taken, { revision }).patchInstance).toBeUndefined();
  });
});

describe('deletion', () => {
  it('ends the instance first, and lets the machine go when it is gone', () => {
    const vm = sampleMachine(deleted);
    const step = look(vm, sampleInstance({ phase: 'Running' }));
    expect(step).toMatchObject({ deleteInstance: true, status: { printableStatus: 'Terminating' } });
    expect(look(vm, sampleInstance({ phase: 'Running' }, deleted)).deleteInstance).toBeUndefined();
    expect(look(vm).finalizers).toEqual([]);
  });

  it('leaves the instance to itself when its dependents are to be orphaned', () => {
    const vm = sampleMachine((each) => {
      deleted(each);
      each.metadata.finalizers = ['orphan', VM_FINALIZER];
    });
    const step = look(vm, sampleInstance({ phase: 'Running' }));
    expect(step.deleteInstance).toBeUndefined();
    expect(step.finalizers).toEqual(['orphan']);
  });
});
