import { createHash } from 'node:crypto';
import type { InstanceSpec, Interface, Probe } from '../api/instance-spec.ts';
import type { VirtualMachineInstance } from '../api/types.ts';
import { CONTROL_PORT } from './probes.ts';

/** Ports that are forwarded when a machine declares none: KubeVirt forwards all then, and QEMU's user network only what it is told. */
const USUAL_PORTS = [22, 80, 443, 8080, 8443, 9090, 9100];

/**
 * QEMU's user network in the pod, with addresses as KubeVirt's masquerade gives them. Declared ports
 * alone are forwarded if any are declared: a probe of another port fails, as it does there.
 */
export function networkArguments(vmi: VirtualMachineInstance): string[] {
  const nic = podInterface(vmi.spec);
  if (nic === undefined) return [];
  const netdev = [
    'user',
    'id=pod',
    'net=10.0.2.0/24',
    'host=10.0.2.1',
    'dhcpstart=10.0.2.2',
    `hostname=${hostnameOf(vmi)}`,
    `domainname=${vmi.metadata.namespace}.svc.cluster.local`,
    ...forwardedPorts(vmi.spec, nic).map(
      ({ protocol, port }) => `hostfwd=${protocol}::${port}-10.0.2.2:${port}`,
    ),
  ];
  return [
    '-netdev',
    netdev.join(','),
    '-device',
    `virtio-net-pci,netdev=pod,mac=${macOf(vmi, nic)},romfile=`,
  ];
}

/** The interface on the pod network; KubeVirt adds one where none is given. */
export function podInterface({ domain, networks }: InstanceSpec): Interface | undefined {
  const { interfaces = [], autoattachPodInterface } = domain.devices;
  if (interfaces.length === 0)
    return autoattachPodInterface === false ? undefined : { name: 'default', bridge: {} };
  const pod = networks?.find((network) => network.pod !== undefined)?.name;
  return interfaces.find((nic) => nic.name === pod);
}

function forwardedPorts(
  spec: InstanceSpec,
  nic: Interface,
): { readonly protocol: 'tcp' | 'udp'; readonly port: number }[] {
  if (nic.ports !== undefined && nic.ports.length > 0) {
    const declared = nic.ports.map(({ port, protocol }) => ({
      port,
      protocol: protocol === 'UDP' ? ('udp' as const) : ('tcp' as const),
    }));
    // QEMU does not start with two of the same.
    return declared.filter(
      ({ port, protocol }, index) =>
        declared.findIndex((other) => other.port === port && other.protocol === protocol) === index,
    );
  }
  const ports = new Set([
    ...USUAL_PORTS,
    ...probePorts(spec.readinessProbe),
    ...probePorts(spec.livenessProbe),
  ]);
  ports.delete(CONTROL_PORT);
  return [...ports].map((port) => ({ port, protocol: 'tcp' }));
}

function probePorts(probe: Probe | undefined): number[] {
  const port = probe?.httpGet?.port ?? probe?.tcpSocket?.port;
  return port === undefined ? [] : [Number(port)];
}

/** The card's address: as given, or one that this machine keeps. */
export function macOf({ metadata }: VirtualMachineInstance, nic: Interface): string {
  if (nic.macAddress !== undefined) return nic.macAddress;
  const hash = createHash('sha256')
    .update(`${metadata.namespace}/${metadata.name}/${nic.name}`)
    .digest('hex');
  return ['02', ...(hash.slice(0, 10).match(/../g) ?? [])].join(':');
}

/** A host name is a single label of at most 63 characters; the machine's name need not be one. */
export function hostnameOf({ metadata, spec }: VirtualMachineInstance): string {
  const [label = ''] = (spec.hostname ?? metadata.name).split('.');
  return label.slice(0, 63).replace(/-+$/, '');
}
