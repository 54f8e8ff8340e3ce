import { isDeepStrictEqual } from 'node:util';
import type { InstanceSpec } from '../api/instance-spec.ts';
import type { VirtualMachineSpec } from '../api/types.ts';

const GENERIC = 'a non-live-updatable field was changed in the template spec';
const MEMORY = 'memory updated in template spec. Memory-hotplug is not available for this VM configuration';

/**
 * The message of RestartRequired, if the machine differs from what its instance was made from in
 * a field that KubeVirt does not take over while it runs.
 */
export function restartRequired(
  started: VirtualMachineSpec,
  present: VirtualMachineSpec,
): string | undefined {
  if (!isDeepStrictEqual(sizing(started), sizing(present))) return GENERIC;
  const [before, after] = [restartRelevant(started.template.spec), restartRelevant(present.template.spec)];
  if (!isDeepStrictEqual(before.rest, after.rest)) return GENERIC;
  return isDeepStrictEqual(before.memory, after.memory) ? undefined : MEMORY;
}

function sizing({ instancetype, preference }: VirtualMachineSpec): unknown {
  return { instancetype, preference };
}

/** Without the scheduling fields, which are live. */
function restartRelevant(spec: InstanceSpec): { readonly memory: unknown; readonly rest: unknown } {
  const { nodeSelector: _n, affinity: _a, tolerations: _t, domain, ...rest } = spec;
  const { memory, ...others } = domain;
  return { memory, rest: { ...rest, domain: others } };
}

/** The fields that a running instance takes over; merged into its spec. */
export function liveFields(
  spec: InstanceSpec,
): Pick<InstanceSpec, 'nodeSelector' | 'affinity' | 'tolerations'> {
  const { nodeSelector, affinity, tolerations } = spec;
  return {
    ...(nodeSelector === undefined ? {} : { nodeSelector }),
    ...(affinity === undefined ? {} : { affinity }),
    ...(tolerations === undefined ? {} : { tolerations }),
  };
}
