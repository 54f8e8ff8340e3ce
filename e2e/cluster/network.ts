import { run } from '../process/run.ts';
import { Failure } from '../progress/failure.ts';

/** The addresses of one instance. Each has ranges of its own, which this machine routes to its node. */
export interface ClusterNetwork {
  readonly index: number;
  /** This machine's end of the link to the node. */
  readonly interfaceName: string;
  /** This machine as seen from node and pods. */
  readonly hostAddress: string;
  /** The node as seen from this machine and from pods. */
  readonly nodeAddress: string;
  readonly linkCidr: string;
  readonly podCidr: string;
  readonly serviceCidr: string;
  /** ClusterIP of the API server: the first of the service range. */
  readonly apiServiceAddress: string;
  /** ClusterIP of the resolver. */
  readonly dnsAddress: string;
}

/** As many instances may run at once. */
const instances = 64;

/** The range with the nodes of all instances, and this machine's ends of the links to them. */
export const clusterAddresses = '10.217.0.0/16';

/** The network of the instance with this index, 0 to 63. */
export function clusterNetwork(index: number): ClusterNetwork {
  return {
    index,
    interfaceName: `lko-${index}`,
    hostAddress: `10.217.${index}.1`,
    nodeAddress: `10.217.${index}.2`,
    linkCidr: `10.217.${index}.0/30`,
    podCidr: `10.218.${index}.0/24`,
    serviceCidr: `10.219.${index}.0/24`,
    apiServiceAddress: `10.219.${index}.1`,
    dnsAddress: `10.219.${index}.10`,
  };
}

/** Whether two IPv4 ranges, `a.b.c.d/bits` or single addresses, have an address in common. */
export function rangesOverlap(first: string, second: string): boolean {
  const [a, b] = [parseRange(first), parseRange(second)];
  if (a === undefined || b === undefined) return false;
  const bits = Math.min(a.bits, b.bits);
  if (bits === 0) return true;
  return a.address >>> (32 - bits) === b.address >>> (32 - bits);
}

function parseRange(text: string): { readonly address: number; readonly bits: number } | undefined {
  const match = /^(\d+)\.(\d+)\.(\d+)\.(\d+)(?:\/(\d+))?$/.exec(text);
  if (match === null) return undefined;
  const octets = match.slice(1, 5).map(Number);
  const address = octets.reduce((sum, octet) => sum * 256 + octet, 0);
  return { address, bits: match[5] === undefined ? 32 : Number(match[5]) };
}

/**
 * Links this machine with the network namespace of process `pid`, by the first index
 * whose interface name and addresses are free. The kernel refuses a second interface
 * of one name, so two instances that start together cannot get the same.
 */
export async function linkNode(pid: number, name: string, signal: AbortSignal): Promise<ClusterNetwork> {
  const routes = await usedRanges(signal);
  for (let index = 0; index < instances; index += 1) {
    const network = clusterNetwork(index);
    const wanted = [network.linkCidr, network.podCidr, network.serviceCidr];
    if (routes.some((route) => wanted.some((range) => rangesOverlap(route, range)))) continue;
    if (!(await addPair(network.interfaceName, pid, signal))) continue;
    await configure(network, pid, name, signal);
    return network;
  }
  throw new Failure('PortUnavailable', `all ${instances} address ranges for local clusters are in use`, {
    advice: 'stop other local clusters; `ip link` shows them as lko-0, lko-1, …',
  });
}

/** Removes this machine's end of a link, and with it the other end and the routes. */
export async function removeInterface(name: string, signal: AbortSignal): Promise<void> {
  // The kernel may be removing it already, together with the namespace of its peer.
  await run('ip', ['link', 'delete', name], { signal }).catch(() => undefined);
}

/** The names of the interfaces on this machine that belong to the instance `name`. */
export async function interfacesOf(name: string, signal: AbortSignal): Promise<readonly string[]> {
  const links = JSON.parse(await run('ip', ['-json', 'link', 'show'], { signal })) as readonly {
    readonly ifname?: string;
    readonly ifalias?: string;
  }[];
  return links.filter((link) => link.ifalias === alias(name)).flatMap((link) => link.ifname ?? []);
}

function alias(name: string): string {
  return `linuxkit-operator/${name}`;
}

async function usedRanges(signal: AbortSignal): Promise<readonly string[]> {
  const output = await run('ip', ['-json', '-4', 'route', 'show'], { signal });
  const routes = JSON.parse(output === '' ? '[]' : output) as readonly { readonly dst?: string }[];
  return routes.flatMap((route) => (route.dst === undefined || route.dst === 'default' ? [] : [route.dst]));
}

async function addPair(interfaceName: string, pid: number, signal: AbortSignal): Promise<boolean> {
  try {
    const peer = ['peer', 'name', 'eth0', 'netns', String(pid)];
    await run('ip', ['link', 'add', interfaceName, 'type', 'veth', ...peer], { signal });
    return true;
  } catch (error) {
    if (error instanceof Failure && error.log.includes('File exists')) return false;
    throw error;
  }
}

async function configure(
  network: ClusterNetwork,
  pid: number,
  name: string,
  signal: AbortSignal,
): Promise<void> {
  const here = network.interfaceName;
  await run('ip', ['link', 'set', here, 'alias', alias(name)], { signal });
  await run('ip', ['address', 'add', `${network.hostAddress}/30`, 'dev', here], { signal });
  await run('ip', ['link', 'set', here, 'up'], { signal });
  const there = ['--target', String(pid), '--net', 'ip'];
  await run('nsenter', [...there, 'address', 'add', `${network.nodeAddress}/30`, 'dev', 'eth0'], { signal });
  await run('nsenter', [...there, 'link', 'set', 'eth0', 'up'], { signal });
  await run('nsenter', [...there, 'route', 'add', 'default', 'via', network.hostAddress], { signal });
  for (const range of [network.podCidr, network.serviceCidr]) {
    await run('ip', ['route', 'add', range, 'via', network.nodeAddress], { signal });
  }
}
