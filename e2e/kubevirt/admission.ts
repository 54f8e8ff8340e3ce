import { posix } from 'node:path';
import type { InstanceSpec, Interface, VirtualMachine } from './types.ts';

/** One reason for refusal, in the form KubeVirt's webhooks give: `FIELD: message`. */
export interface Cause {
  readonly field: string;
  readonly message: string;
}

const RUN_STRATEGIES = ['Always', 'Halted', 'Manual', 'RerunOnFailure', 'Once', 'WaitAsReceiver'];
const PULL_POLICIES = ['Always', 'IfNotPresent', 'Never'];
const BINDINGS: readonly (keyof Interface)[] = ['masquerade', 'bridge', 'sriov', 'passtBinding', 'binding'];
const INLINE_USER_DATA_LIMIT = 2048;

/**
 * The refusals of KubeVirt 1.9's VirtualMachine webhook for the fields the product uses.
 * What KubeVirt accepts and then boots into silence (unparsable references, equal base
 * names, over-long kernel arguments, missing memory) is accepted here as well.
 */
export function refusals(vm: VirtualMachine): Cause[] {
  return [...runStrategyRefusals(vm), ...instanceRefusals(vm.spec.template.spec, 'spec.template.spec')];
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
  if (spec.running === undefined && spec.runStrategy === undefined) {
    return [{ field: 'spec.running', message: 'One of Running or RunStrategy must be specified' }];
  }
  if (spec.runStrategy !== undefined && !RUN_STRATEGIES.includes(spec.runStrategy)) {
    return [{ field: 'spec.runStrategy', message: `Invalid RunStrategy (${spec.runStrategy})` }];
  }
  return [];
}

function instanceRefusals(spec: InstanceSpec, field: string): Cause[] {
  return [
    ...kernelBootRefusals(spec, `${field}.domain.firmware.kernelBoot`),
    ...interfaceRefusals(spec, `${field}.domain.devices.interfaces`),
    ...probeRefusals(spec, field),
    ...volumeRefusals(spec, `${field}.volumes`),
    ...machineRefusals(spec, `${field}.domain.machine`),
    ...hostnameRefusals(spec, `${field}.hostname`),
  ];
}

function kernelBootRefusals(spec: InstanceSpec, field: string): Cause[] {
  const boot = spec.domain.firmware?.kernelBoot;
  if (boot === undefined) return [];
  if (boot.container === undefined) {
    return boot.kernelArgs
      ? [
          {
            field: `${field}.kernelArgs`,
            message: 'kernel arguments cannot be provided without an external kernel',
          },
        ]
      : [];
  }
  const causes: Cause[] = [];
  const { image, imagePullPolicy, kernelPath, initrdPath } = boot.container;
  if (!image)
    causes.push({
      field: `${field}.container.image`,
      message: `${field}.container must be defined with an image`,
    });
  if (imagePullPolicy !== undefined && !PULL_POLICIES.includes(imagePullPolicy)) {
    causes.push({
      field: `${field}.container.imagePullPolicy`,
      message: `${imagePullPolicy} is not one of ${PULL_POLICIES.join(', ')}`,
    });
  }
  if (!kernelPath && !initrdPath) {
    causes.push({
      field: `${field}.container`,
      message: `${field}.container must be defined with at least one of the following: kernelPath, initrdPath`,
    });
  }
  for (const [name, path] of Object.entries({ kernelPath, initrdPath })) {
    if (path) causes.push(...pathRefusals(path, `${field}.container.${name}`));
  }
  return causes;
}

function pathRefusals(path: string, field: string): Cause[] {
  if (path === '/') return [{ field, message: `${field} must not point to root` }];
  return posix.join('/', path) === path
    ? []
    : [{ field, message: `${field} must be an absolute path to a file without relative elements` }];
}

function interfaceRefusals(spec: InstanceSpec, field: string): Cause[] {
  const networks = new Set((spec.networks ?? []).map((network) => network.name));
  return (spec.domain.devices.interfaces ?? []).flatMap((nic, index) => {
    const bindings = BINDINGS.filter((binding) => nic[binding] !== undefined);
    const causes: Cause[] = [];
    if (bindings.length !== 1) {
      causes.push({
        field: `${field}[${index}]`,
        message: `exactly one binding must be given for interface ${nic.name}`,
      });
    }
    if (!networks.has(nic.name)) {
      causes.push({
        field: `${field}[${index}].name`,
        message: `${field}[${index}].name '${nic.name}' not found.`,
      });
    }
    return causes;
  });
}

function probeRefusals(spec: InstanceSpec, field: string): Cause[] {
  const podNetwork =
    (spec.networks ?? []).some((network) => network.pod !== undefined) || spec.networks === undefined;
  return (['readinessProbe', 'livenessProbe'] as const).flatMap((name) => {
    const probe = spec[name];
    if (probe === undefined) return [];
    const handlers = [probe.httpGet, probe.tcpSocket, probe.exec, probe.guestAgentPing].filter(
      (handler) => handler !== undefined,
    );
    if (handlers.length !== 1) {
      return [
        { field: `${field}.${name}`, message: `${field}.${name} must have exactly one probe type set` },
      ];
    }
    if (!podNetwork && (probe.httpGet !== undefined || probe.tcpSocket !== undefined)) {
      return [
        {
          field: `${field}.${name}`,
          message: `${field}.${name} is only allowed if the Pod Network is attached`,
        },
      ];
    }
    return [];
  });
}

function volumeRefusals(spec: InstanceSpec, field: string): Cause[] {
  return (spec.volumes ?? []).flatMap((volume, index) => {
    const sources = Object.keys(volume).filter((key) => key !== 'name');
    const causes: Cause[] = [];
    if (sources.length !== 1)
      causes.push({
        field: `${field}[${index}]`,
        message: `${field}[${index}] must have exactly one source type set`,
      });
    const data = volume['cloudInitNoCloud'] as { userData?: string } | undefined;
    if (data?.userData !== undefined && Buffer.byteLength(data.userData) > INLINE_USER_DATA_LIMIT) {
      causes.push({
        field: `${field}[${index}].cloudInitNoCloud.userData`,
        message: `userdata exceeds ${INLINE_USER_DATA_LIMIT} byte limit. Should use UserDataSecretRef for larger data.`,
      });
    }
    return causes;
  });
}

function machineRefusals(spec: InstanceSpec, field: string): Cause[] {
  const type = spec.domain.machine?.type;
  if (type === undefined || type === '' || /^(pc-)?q35/.test(type) || type.startsWith('virt')) return [];
  return [
    {
      field: `${field}.type`,
      message: `${field}.type is not supported: ${type} (allowed values: [q35* pc-q35*])`,
    },
  ];
}

function hostnameRefusals(spec: InstanceSpec, field: string): Cause[] {
  const name = spec.hostname;
  if (name === undefined || /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name)) return [];
  return [{ field, message: `${field} does not conform to the kubernetes DNS_LABEL rules` }];
}
