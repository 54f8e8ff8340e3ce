import type { InstanceSpec, Interface } from '../api/instance-spec.ts';
import type { Cause } from './cause.ts';

const BINDINGS: readonly (keyof Interface)[] = ['masquerade', 'bridge', 'sriov', 'passtBinding', 'binding'];

/** What KubeVirt refuses of interfaces, and of probes, which need the pod network; `field` leads to the spec. */
export function networkRefusals(spec: InstanceSpec, field: string): Cause[] {
  return [...interfaceRefusals(spec, `${field}.domain.devices.interfaces`), ...probeRefusals(spec, field)];
}

function interfaceRefusals(spec: InstanceSpec, field: string): Cause[] {
  const networks = new Set((spec.networks ?? []).map((network) => network.name));
  return (spec.domain.devices.interfaces ?? []).flatMap((nic, index, all) => {
    const causes: Cause[] = [];
    const at = `${field}[${index}]`;
    if (BINDINGS.filter((binding) => nic[binding] !== undefined).length !== 1) {
      causes.push({ field: at, message: `exactly one binding must be given for interface ${nic.name}` });
    }
    if (!networks.has(nic.name)) {
      causes.push({ field: `${at}.name`, message: `${at}.name '${nic.name}' not found.` });
    }
    if (all.findIndex((other) => other.name === nic.name) < index) {
      causes.push({
        field: `${at}.name`,
        message: 'Only one interface can be connected to one specific network',
      });
    }
    return causes;
  });
}

function probeRefusals(spec: InstanceSpec, field: string): Cause[] {
  const podNetwork =
    spec.networks === undefined || spec.networks.some((network) => network.pod !== undefined);
  return (['readinessProbe', 'livenessProbe'] as const).flatMap((name) => {
    const probe = spec[name];
    if (probe === undefined) return [];
    const where = `${field}.${name}`;
    const handlers = [probe.httpGet, probe.tcpSocket, probe.exec, probe.guestAgentPing].filter(
      (handler) => handler !== undefined,
    );
    if (handlers.length !== 1)
      return [{ field: where, message: `${where} must have exactly one probe type set` }];
    if (!podNetwork && (probe.httpGet !== undefined || probe.tcpSocket !== undefined))
      return [{ field: where, message: `${where} is only allowed if the Pod Network is attached` }];
    return [];
  });
}
