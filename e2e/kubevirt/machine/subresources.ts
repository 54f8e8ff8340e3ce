import type { StateChangeRequest, VirtualMachine, VirtualMachineInstance } from '../api/types.ts';
import { runStrategyOf } from './run-strategy.ts';

/** What a call of a subresource does, or why it is refused. */
export type SubresourceAnswer =
  | { readonly status: 409 | 500; readonly message: string }
  /** Ask the controller, through the machine's status. */
  | { readonly requests: readonly StateChangeRequest[]; readonly force?: boolean }
  | { readonly runStrategy: 'Always' | 'Halted' };

const VERBS = ['start', 'stop', 'restart'] as const;
export type SubresourceVerb = (typeof VERBS)[number];

export function isSubresourceVerb(text: string): text is SubresourceVerb {
  return (VERBS as readonly string[]).includes(text);
}

/** KubeVirt's `virtualmachines/NAME/{start,stop,restart}` (pkg/virt-api/rest); `force` is a grace period of 0. */
export function answerSubresource(
  verb: SubresourceVerb,
  vm: VirtualMachine,
  vmi: VirtualMachineInstance | undefined,
  options: { readonly force: boolean },
): SubresourceAnswer {
  const strategy = runStrategyOf(vm);
  const phase = vmi?.status?.phase;
  const final = phase === 'Succeeded' || phase === 'Failed';
  const alive = vmi !== undefined && !final;
  const underway = (vm.status?.stateChangeRequests?.length ?? 0) > 0;
  const stop = (): StateChangeRequest => ({ action: 'Stop', uid: vmi?.metadata.uid ?? '' });
  const refused = (message: string): SubresourceAnswer => ({ status: 409, message });
  const busy: SubresourceAnswer = {
    status: 500,
    message: 'unable to complete request: stop/start already underway',
  };
  switch (verb) {
    case 'restart':
      if (strategy === 'Halted' || strategy === 'Once')
        return refused(`${strategy} does not support manual restart requests`);
      if (!alive) return refused(`VM is not running: ${strategy}`);
      if (underway) return busy;
      return { requests: [stop(), { action: 'Start' }], force: options.force };
    case 'start':
      if (alive) return refused('VM is already running');
      if (strategy === 'Halted') return { runStrategy: 'Always' };
      if (strategy === 'Always' || strategy === 'Once')
        return refused(`${strategy} does not support manual start requests`);
      if (underway) return busy;
      return { requests: [...(vmi === undefined ? [] : [stop()]), { action: 'Start' }] };
    case 'stop':
      if (strategy === 'Halted') return refused('Halted does not support manual stop requests');
      if (strategy === 'Always' || strategy === 'Once') return { runStrategy: 'Halted' };
      if (!alive) return refused('VM is not running');
      if (underway) return busy;
      return { requests: [stop()], force: options.force };
  }
}
