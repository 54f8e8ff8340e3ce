import { isDeepStrictEqual } from 'node:util';
import { instanceCreateRefusals } from '../admission/instance-rules.ts';
import type {
  ControllerRevision,
  Told,
  VirtualMachine,
  VirtualMachineInstance,
  VirtualMachineStatus,
} from '../api/types.ts';
import { liveFields } from './restart-required.ts';
import { startedSpec, startRevision, startRevisionName } from './revisions.ts';
import { decideRun } from './run-strategy.ts';
import { type Sizing, sizedSpec } from './sizing.ts';
import { isHeldBack } from './start-failure.ts';
import {
  failedCreation,
  GENERATION_ANNOTATION,
  statusOf,
  type VirtualMachineView,
} from './virtual-machine-status.ts';

export const VM_FINALIZER = 'kubevirt.io/virtualMachineControllerFinalize';
export const VMI_FINALIZER = 'foregroundDeleteVirtualMachine';
const OBSERVED_VERSIONS: Readonly<Record<string, string>> = {
  'kubevirt.io/latest-observed-api-version': 'v1',
  'kubevirt.io/storage-observed-api-version': 'v1',
};

export interface VirtualMachineStep {
  readonly finalizers?: readonly string[];
  readonly annotations?: Readonly<Record<string, string>>;
  readonly runStrategy?: 'Always';
  /** Made before what refers to them. */
  readonly createRevisions: readonly ControllerRevision[];
  readonly createInstance?: VirtualMachineInstance;
  readonly deleteInstance?: boolean;
  /** A merge patch of the instance, for what a running one takes over. */
  readonly patchInstance?: object;
  readonly status?: VirtualMachineStatus;
  readonly tell: readonly Told[];
}

/** What KubeVirt's VM controller does next. */
export function nextForVirtualMachine(view: VirtualMachineView): VirtualMachineStep {
  const { vm, vmi, now } = view;
  const finalizers = vm.metadata.finalizers ?? [];
  if (vm.metadata.deletionTimestamp !== undefined) {
    if (vmi === undefined || finalizers.includes('orphan'))
      return {
        finalizers: finalizers.filter((name) => name !== VM_FINALIZER),
        createRevisions: [],
        tell: [],
      };
    return {
      ...(vmi.metadata.deletionTimestamp === undefined ? deletion(vmi) : { tell: [] }),
      createRevisions: [],
      status: statusOf(view, vm.status?.stateChangeRequests ?? []),
    };
  }
  const run = decideRun(vm, vmi);
  const status = statusOf(view, run.requests);
  const step: VirtualMachineStep = {
    status,
    createRevisions: view.resolved.revisions,
    tell: [],
    ...(finalizers.includes(VM_FINALIZER) ? {} : { finalizers: [...finalizers, VM_FINALIZER] }),
    ...(Object.keys(OBSERVED_VERSIONS).every((key) => vm.metadata.annotations?.[key] !== undefined)
      ? {}
      : { annotations: OBSERVED_VERSIONS }),
    ...(run.runStrategy === undefined ? {} : { runStrategy: run.runStrategy }),
  };
  if (vmi !== undefined) {
    if (run.stop) return { ...step, ...deletion(vmi) };
    const patchInstance = instancePatch(view, vmi);
    return { ...step, ...(patchInstance === undefined ? {} : { patchInstance }) };
  }
  if (!run.start || isHeldBack(status.startFailure, now)) return step;
  return { ...step, ...creation(view, status) };
}

function deletion(vmi: VirtualMachineInstance): Pick<VirtualMachineStep, 'deleteInstance' | 'tell'> {
  const note = `Stopped the virtual machine by deleting the virtual machine instance ${vmi.metadata.uid}`;
  return { deleteInstance: true, tell: [{ type: 'Normal', reason: 'SuccessfulDelete', note }] };
}

function creation(
  view: VirtualMachineView,
  status: VirtualMachineStatus,
): Pick<VirtualMachineStep, 'createRevisions' | 'createInstance' | 'status' | 'tell'> {
  const { vm } = view;
  const { sizing, revisions } = view.resolved;
  if ('problem' in sizing) return refused(view, status, sizing.problem);
  const instance = instanceFor(vm, sizing);
  const causes = instanceCreateRefusals(instance.spec);
  if (causes.length > 0) {
    const why = causes.map((cause) => cause.message).join(', ');
    const webhook =
      'admission webhook "virtualmachineinstances-create-validator.kubevirt.io" denied the request';
    return refused(view, status, `${webhook}: ${why}`);
  }
  const note = `Started the virtual machine by creating the new virtual machine instance ${vm.metadata.name}`;
  return {
    createRevisions: [...revisions, startRevision(vm)],
    createInstance: instance,
    status,
    tell: [{ type: 'Normal', reason: 'SuccessfulCreate', note }],
  };
}

function refused(
  { vm, now }: VirtualMachineView,
  status: VirtualMachineStatus,
  why: string,
): Pick<VirtualMachineStep, 'createRevisions' | 'status' | 'tell'> {
  return {
    createRevisions: [],
    status: failedCreation(vm, status, why, now),
    tell: [
      {
        type: 'Warning',
        reason: 'FailedCreate',
        note: `Error creating virtual machine instance ${vm.metadata.name}: ${why}`,
      },
    ],
  };
}

function instanceFor(vm: VirtualMachine, sizing: Sizing): VirtualMachineInstance {
  const { template } = vm.spec;
  return {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachineInstance',
    metadata: {
      name: vm.metadata.name,
      namespace: vm.metadata.namespace,
      labels: { ...template.metadata?.labels },
      annotations: {
        ...template.metadata?.annotations,
        [GENERATION_ANNOTATION]: String(vm.metadata.generation ?? 0),
      },
      finalizers: [VMI_FINALIZER],
      ownerReferences: [
        {
          apiVersion: 'kubevirt.io/v1',
          kind: 'VirtualMachine',
          name: vm.metadata.name,
          uid: vm.metadata.uid ?? '',
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    spec: sizedSpec(template.spec, sizing),
    // Without a status subresource, it can be given at once.
    status: { virtualMachineRevisionName: startRevisionName(vm) },
  };
}

/** What a running instance takes over of a changed machine: where it may run, and which generation it is of. */
function instancePatch(
  { vm, revision }: VirtualMachineView,
  vmi: VirtualMachineInstance,
): object | undefined {
  const started = startedSpec(revision);
  if (started === undefined || vmi.metadata.deletionTimestamp !== undefined) return undefined;
  const wanted = liveFields(vm.spec.template.spec);
  const before = liveFields(started.template.spec);
  const live =
    isDeepStrictEqual(wanted, before) || isDeepStrictEqual(wanted, liveFields(vmi.spec))
      ? {}
      : { spec: wanted };
  const generation = String(vm.metadata.generation ?? 0);
  // Whatever else changed of the machine, the instance is of the present generation if the template is the same.
  const same = isDeepStrictEqual(started.template, vm.spec.template);
  const stale = vmi.metadata.annotations?.[GENERATION_ANNOTATION] !== generation;
  const bump = same && stale ? { metadata: { annotations: { [GENERATION_ANNOTATION]: generation } } } : {};
  const patch = { ...live, ...bump };
  return Object.keys(patch).length === 0 ? undefined : patch;
}
