import type { StateChangeRequest, VirtualMachine, VirtualMachineInstance } from '../api/types.ts';

export interface RunDecision {
  readonly start: boolean;
  readonly stop: boolean;
  /** Requests that are left, or that are added, after this look. */
  readonly requests: readonly StateChangeRequest[];
  /** KubeVirt writes this into the spec: a halted machine that is asked to start runs always from then on. */
  readonly runStrategy?: 'Always';
}

export function runStrategyOf({ spec }: VirtualMachine): string {
  return spec.runStrategy ?? (spec.running === true ? 'Always' : 'Halted');
}

/** Whether KubeVirt starts or stops a machine now, by its run strategy and by what was asked for. */
export function decideRun(vm: VirtualMachine, vmi: VirtualMachineInstance | undefined): RunDecision {
  const requests = withoutDone(vm.status?.stateChangeRequests ?? [], vmi);
  const strategy = runStrategyOf(vm);
  const nothing: RunDecision = { start: false, stop: false, requests };
  if (vmi === undefined) {
    switch (strategy) {
      case 'Always':
      case 'Once':
        return { ...nothing, start: true };
      case 'RerunOnFailure':
        // One that comes from another strategy, or is new, is started; else only on request.
        return { ...nothing, start: asksFor(requests, 'Start') || vm.status?.runStrategy !== strategy };
      case 'Manual':
        return { ...nothing, start: asksFor(requests, 'Start') };
      case 'Halted':
        return asksFor(requests, 'Start') ? { ...nothing, runStrategy: 'Always' } : nothing;
      default:
        return nothing;
    }
  }
  if (vmi.metadata.deletionTimestamp !== undefined) return nothing;
  const phase = vmi.status?.phase;
  const final = phase === 'Succeeded' || phase === 'Failed';
  const asked = requests[0]?.action === 'Stop' && requests[0].uid === vmi.metadata.uid;
  switch (strategy) {
    case 'Always':
      return { ...nothing, stop: asked || final };
    case 'RerunOnFailure':
      if (phase === 'Failed') return { ...nothing, stop: true, requests: [...requests, { action: 'Start' }] };
      return { ...nothing, stop: asked || final };
    case 'Manual':
      return { ...nothing, stop: asked };
    case 'Once':
      return nothing;
    default:
      return { ...nothing, stop: true };
  }
}

function asksFor(requests: readonly StateChangeRequest[], action: StateChangeRequest['action']): boolean {
  return requests[0]?.action === action;
}

/** A stop is done when its instance is gone, a start when there is an instance. */
function withoutDone(
  requests: readonly StateChangeRequest[],
  vmi: VirtualMachineInstance | undefined,
): readonly StateChangeRequest[] {
  const [first, ...rest] = requests;
  switch (first?.action) {
    case 'Stop':
      return vmi === undefined || (first.uid !== undefined && first.uid !== vmi.metadata.uid)
        ? withoutDone(rest, vmi)
        : requests;
    case 'Start':
      return vmi !== undefined && !ending(vmi) ? rest : requests;
    case undefined:
      return requests;
  }
}

/** The instance that a failure left behind is not the one that its successor was asked for. */
function ending(vmi: VirtualMachineInstance): boolean {
  return vmi.metadata.deletionTimestamp !== undefined || vmi.status?.phase === 'Failed';
}
