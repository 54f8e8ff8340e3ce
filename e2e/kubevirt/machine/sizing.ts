import type { Cpu, Disk, InstanceSpec } from '../api/instance-spec.ts';
import type { Matcher, VirtualMachineSpec } from '../api/types.ts';

/** Of KubeVirt's instance types (instancetype.kubevirt.io/v1beta1), what a diskless machine feels. */
export interface InstanceType {
  readonly cpu: { readonly guest: number; readonly model?: string };
  readonly memory: { readonly guest: string };
  readonly nodeSelector?: Readonly<Record<string, string>>;
}

export interface Preference {
  readonly cpu?: { readonly preferredCPUTopology?: string };
  readonly devices?: {
    readonly preferredDiskBus?: string;
    readonly preferredCdromBus?: string;
  };
  readonly preferredTerminationGracePeriodSeconds?: number;
}

/** The specs of what a machine names; undefined where it names none. */
export interface Sizing {
  readonly instancetype?: InstanceType;
  readonly preference?: Preference;
}

/** Default kinds of a matcher that names none. */
export const CLUSTER_INSTANCETYPE = 'VirtualMachineClusterInstancetype';
export const CLUSTER_PREFERENCE = 'VirtualMachineClusterPreference';

/** Fields of the template that an instance type decides, and that must not be given beside it. */
export function sizingConflicts(spec: VirtualMachineSpec, sizing: Sizing): string[] {
  if (sizing.instancetype === undefined) return [];
  const { domain, nodeSelector } = spec.template.spec;
  const { cpu, memory, resources } = domain;
  const field = 'spec.template.spec';
  return [
    ...(cpu?.cores === undefined ? [] : [`${field}.domain.cpu.cores`]),
    ...(cpu?.sockets === undefined ? [] : [`${field}.domain.cpu.sockets`]),
    ...(cpu?.threads === undefined ? [] : [`${field}.domain.cpu.threads`]),
    ...(cpu?.model !== undefined && sizing.instancetype.cpu.model !== undefined
      ? [`${field}.domain.cpu.model`]
      : []),
    ...(memory?.guest === undefined ? [] : [`${field}.domain.memory`]),
    ...(resources?.requests?.['cpu'] === undefined ? [] : [`${field}.domain.resources.requests.cpu`]),
    ...(resources?.requests?.['memory'] === undefined ? [] : [`${field}.domain.resources.requests.memory`]),
    ...(nodeSelector !== undefined && sizing.instancetype.nodeSelector !== undefined
      ? [`${field}.nodeSelector`]
      : []),
  ];
}

/** The instance's spec with everything that instance type and preference decide in place. */
export function sizedSpec(spec: InstanceSpec, { instancetype, preference }: Sizing): InstanceSpec {
  const { domain } = spec;
  const disks = domain.devices.disks?.map((disk) => withBus(disk, preference));
  const grace = spec.terminationGracePeriodSeconds ?? preference?.preferredTerminationGracePeriodSeconds;
  return {
    ...spec,
    ...(grace === undefined ? {} : { terminationGracePeriodSeconds: grace }),
    ...(instancetype?.nodeSelector === undefined ? {} : { nodeSelector: { ...instancetype.nodeSelector } }),
    domain: {
      ...domain,
      ...(instancetype === undefined
        ? {}
        : {
            cpu: { ...domain.cpu, ...topology(instancetype, preference) },
            memory: { guest: instancetype.memory.guest },
          }),
      devices: { ...domain.devices, ...(disks === undefined ? {} : { disks }) },
    },
  };
}

/** Processors become sockets unless the preference has them otherwise. */
function topology({ cpu }: InstanceType, preference: Preference | undefined): Cpu {
  const model = cpu.model === undefined ? {} : { model: cpu.model };
  switch (preference?.cpu?.preferredCPUTopology) {
    case 'cores':
    case 'preferCores':
      return { ...model, cores: cpu.guest, sockets: 1, threads: 1 };
    case 'threads':
    case 'preferThreads':
      return { ...model, cores: 1, sockets: 1, threads: cpu.guest };
    default:
      return { ...model, cores: 1, sockets: cpu.guest, threads: 1 };
  }
}

function withBus(disk: Disk, preference: Preference | undefined): Disk {
  const { preferredDiskBus, preferredCdromBus } = preference?.devices ?? {};
  if (disk.cdrom !== undefined && disk.cdrom.bus === undefined && preferredCdromBus !== undefined)
    return { ...disk, cdrom: { ...disk.cdrom, bus: preferredCdromBus } };
  if (disk.disk !== undefined && disk.disk.bus === undefined && preferredDiskBus !== undefined)
    return { ...disk, disk: { ...disk.disk, bus: preferredDiskBus } };
  return disk;
}

/** The kind and name that a matcher means. */
export function matched(
  matcher: Matcher,
  otherwise: string,
): { readonly kind: string; readonly name: string } {
  // Names of kinds are compared without regard to case, and plurals pass.
  const kind = (matcher.kind ?? otherwise).toLowerCase().replace(/s$/, '');
  const known = [
    CLUSTER_INSTANCETYPE,
    CLUSTER_PREFERENCE,
    'VirtualMachineInstancetype',
    'VirtualMachinePreference',
  ].find((each) => each.toLowerCase() === kind);
  return { kind: known ?? matcher.kind ?? otherwise, name: matcher.name ?? '' };
}
