import { join } from 'node:path';
import { auditFiles } from './audit.ts';
import {
  type ApiServerSettings,
  apiServerFlags,
  controllerManagerFlags,
  etcdFlags,
} from './control-plane-flags.ts';
import type { ClusterCertificates } from './node-certificates.ts';
import { containerdSocket, type NodeSettings } from './node-config.ts';

/** The programs a node consists of. */
export const nodeTools = [
  'etcd',
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'kubelet',
  'kube-proxy',
  'kubectl',
  'containerd',
  'containerd-shim-runc-v2',
  'ctr',
  'runc',
  'bridge',
  'loopback',
  'host-local',
  'portmap',
  'coredns',
  'registry',
  'pause',
] as const;

/** The Debian packages that a node needs besides. */
export const NODE_PACKAGES = ['openssl', 'iproute2', 'iptables', 'kmod'] as const;

/** Absolute paths of the programs. */
export type NodeTools = Readonly<Record<(typeof nodeTools)[number], string>>;

/** The long-running processes of a node. */
export type NodeComponent =
  | 'etcd'
  | 'kube-apiserver'
  | 'kube-controller-manager'
  | 'kube-scheduler'
  | 'containerd'
  | 'kubelet'
  | 'kube-proxy'
  | 'coredns'
  | 'registry';

/** A command and its arguments. */
export interface CommandLine {
  readonly command: string;
  readonly args: readonly string[];
}

/** The command line of each component, inside the node. */
export function commandLines(
  settings: NodeSettings,
  certificates: ClusterCertificates,
  tools: NodeTools,
): Readonly<Record<NodeComponent, CommandLine>> {
  const { folder, network, nodeName } = settings;
  const kubeconfig = (user: string): string => join(folder, `${user}.kubeconfig`);
  const apiServer: ApiServerSettings = {
    etcdServers: `unix://${join(folder, 'etcd.sock')}`,
    bindAddress: '0.0.0.0',
    advertiseAddress: network.nodeAddress,
    port: 6443,
    serviceCidr: network.serviceCidr,
    authority: certificates.authority,
    serving: certificates.apiServer,
    kubeletClient: certificates.kubeletClient,
    tokenKeys: certificates.tokenKeys,
    serviceAccounts: true,
    audit: auditFiles(folder),
  };
  return {
    etcd: {
      command: 'sh',
      // etcd's peer socket lies in its working directory.
      args: [
        '-c',
        'cd "$0" && exec "$@"',
        folder,
        tools.etcd,
        ...etcdFlags(join(folder, 'etcd-data'), apiServer.etcdServers),
      ],
    },
    'kube-apiserver': { command: tools['kube-apiserver'], args: apiServerFlags(apiServer) },
    'kube-controller-manager': {
      command: tools['kube-controller-manager'],
      args: controllerManagerFlags(kubeconfig('kube-controller-manager'), apiServer, network.podCidr),
    },
    'kube-scheduler': {
      command: tools['kube-scheduler'],
      args: [
        `--kubeconfig=${kubeconfig('kube-scheduler')}`,
        `--authentication-kubeconfig=${kubeconfig('kube-scheduler')}`,
        `--authorization-kubeconfig=${kubeconfig('kube-scheduler')}`,
        '--bind-address=127.0.0.1',
        '--leader-elect=false',
      ],
    },
    containerd: {
      command: tools.containerd,
      args: ['--config', join(folder, 'etc', 'containerd.toml')],
    },
    kubelet: {
      command: tools.kubelet,
      args: [
        `--config=${join(folder, 'etc', 'kubelet.json')}`,
        `--kubeconfig=${kubeconfig('kubelet')}`,
        `--hostname-override=${nodeName}`,
        `--node-ip=${network.nodeAddress}`,
        `--container-runtime-endpoint=unix://${containerdSocket(folder)}`,
      ],
    },
    'kube-proxy': {
      command: tools['kube-proxy'],
      args: [`--config=${join(folder, 'etc', 'kube-proxy.json')}`],
    },
    coredns: { command: tools.coredns, args: ['-conf', join(folder, 'etc', 'Corefile')] },
    registry: {
      command: 'env',
      args: ['OTEL_TRACES_EXPORTER=none', tools.registry, 'serve', join(folder, 'etc', 'registry.yaml')],
    },
  };
}
