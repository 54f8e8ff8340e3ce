import { isDeepStrictEqual } from 'node:util';
import type { InstanceSpec } from '../api/instance-spec.ts';
import type { VirtualMachineInstance } from '../api/types.ts';
import type { Cause } from './cause.ts';
import { firmwareRefusals } from './kernel-boot-rules.ts';
import { networkRefusals } from './network-rules.ts';
import { storageRefusals } from './storage-rules.ts';

const EVICTION_STRATEGIES = ['None', 'LiveMigrate', 'LiveMigrateIfPossible', 'External'];

/**
 * What KubeVirt's webhooks refuse of an instance's spec, in a VirtualMachine's template as well. What
 * KubeVirt accepts and then boots into silence (unparsable references, equal base names,
 * over-long kernel arguments) is accepted here too.
 */
export function instanceRefusals(spec: InstanceSpec, field: string): Cause[] {
  return [
    ...firmwareRefusals(spec, `${field}.domain.firmware`),
    ...networkRefusals(spec, field),
    ...storageRefusals(spec, field),
    ...machineRefusals(spec, `${field}.domain.machine`),
    ...hostnameRefusals(spec, `${field}.hostname`),
    ...evictionRefusals(spec, `${field}.evictionStrategy`),
  ];
}

/** What is refused of an instance itself: a template without memory passes, and only its instance is refused. */
export function instanceCreateRefusals(spec: InstanceSpec): Cause[] {
  const memory = spec.domain.memory?.guest ?? spec.domain.resources?.requests?.['memory'];
  const missing =
    memory === undefined
      ? [
          {
            field: 'spec.domain.memory',
            message:
              'no memory requested, at least one of spec.domain.memory.guest, spec.domain.memory.hugepages.size or spec.domain.resources.requests.memory must be set',
          },
        ]
      : [];
  return [...missing, ...instanceRefusals(spec, 'spec')];
}

/** Nobody but KubeVirt, which is not asked, changes an instance. */
export function instanceUpdateRefusals(
  before: VirtualMachineInstance,
  after: VirtualMachineInstance,
): Cause[] {
  if (isDeepStrictEqual(before.spec, after.spec)) return [];
  return [{ field: 'spec', message: 'update of VMI object is restricted' }];
}

function machineRefusals(spec: InstanceSpec, field: string): Cause[] {
  const type = spec.domain.machine?.type;
  const arm = spec.architecture === 'arm64';
  if (!type || (arm ? /^virt/ : /^(pc-)?q35/).test(type)) return [];
  const allowed = arm ? '[virt*]' : '[q35* pc-q35*]';
  return [
    {
      field: `${field}.type`,
      message: `${field}.type is not supported: ${type} (allowed values: ${allowed})`,
    },
  ];
}

function hostnameRefusals({ hostname }: InstanceSpec, field: string): Cause[] {
  if (hostname === undefined || /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(hostname)) return [];
  return [{ field, message: `${field} does not conform to the kubernetes DNS_LABEL rules` }];
}

function evictionRefusals({ evictionStrategy }: InstanceSpec, field: string): Cause[] {
  if (evictionStrategy === undefined || EVICTION_STRATEGIES.includes(evictionStrategy)) return [];
  return [{ field, message: `${field} is set with an unrecognized option: ${evictionStrategy}` }];
}
