import type { VirtualMachine } from '../api/types.ts';
import { type Sizing, sizingConflicts } from '../machine/sizing.ts';
import type { Cause } from './cause.ts';
import { instanceRefusals } from './instance-rules.ts';

const RUN_STRATEGIES = ['Always', 'Halted', 'Manual', 'RerunOnFailure', 'Once', 'WaitAsReceiver'];

/** The refusals of KubeVirt 1.9's VirtualMachine webhook for the fields the product uses. */
export function refusals(vm: VirtualMachine, sizing: Sizing | { readonly problem: string } = {}): Cause[] {
  return [
    ...runStrategyRefusals(vm),
    ...sizingRefusals(vm, sizing),
    ...instanceRefusals(vm.spec.template.spec, 'spec.template.spec'),
  ];
}

function runStrategyRefusals({ spec }: VirtualMachine): Cause[] {
  if (spec.running !== undefined && spec.runStrategy !== undefined) {
    return [
      {
        field: 'spec.running',
        message:
          'Running and RunStrategy are mutually exclusive. Note that Running is deprecated, please use RunStrategy instead',
      },
    ];
  }
  if (spec.running === undefined && spec.runStrategy === undefined)
    return [{ field: 'spec.running', message: 'One of Running or RunStrategy must be specified' }];
  if (spec.runStrategy !== undefined && !RUN_STRATEGIES.includes(spec.runStrategy))
    return [{ field: 'spec.runStrategy', message: `Invalid RunStrategy (${spec.runStrategy})` }];
  return [];
}

function sizingRefusals({ spec }: VirtualMachine, sizing: Sizing | { readonly problem: string }): Cause[] {
  if ('problem' in sizing) return [{ field: 'spec.instancetype', message: sizing.problem }];
  return sizingConflicts(spec, sizing).map((field) => ({
    field,
    message: `VM field(s) ${field} conflicts with selected instance type`,
  }));
}
