import { join } from 'node:path';
import type { CertificateFiles } from './certificates.ts';
import type { ClusterNetwork } from './network.ts';

/** Where things of a node are and what it is called. */
export interface NodeSettings {
  readonly folder: string;
  readonly nodeName: string;
  readonly cgroup: string;
  readonly network: ClusterNetwork;
  readonly runc: string;
  readonly shim: string;
  readonly cniFolder: string;
  readonly pauseImage: string;
  readonly authority: string;
  readonly kubeletServing: CertificateFiles;
}

/** Name that pods find the registry by, and this machine. */
export const registryName = 'registry.test';
export const hostName = 'host.test';

/** containerd's socket. */
export function containerdSocket(folder: string): string {
  return join(folder, 'containerd.sock');
}

/** Where containerd looks up how to reach a registry: one folder for each `host:port`. */
export function registryHosts(folder: string): string {
  return join(folder, 'etc', 'certs.d');
}

/** What containerd must know of a registry to pull from it without TLS (`hosts.toml`). */
export function plainHttpHosts(registry: string): string {
  return `server = ${JSON.stringify(`http://${registry}`)}\n`;
}

/** containerd's configuration, version 3. */
export function containerdConfig(settings: NodeSettings): string {
  const { folder } = settings;
  const text = JSON.stringify;
  return `version = 3
root = ${text(join(folder, 'containerd', 'root'))}
state = '/run/containerd'
disabled_plugins = ['io.containerd.nri.v1.nri', 'io.containerd.internal.v1.tracing']

[grpc]
  address = ${text(containerdSocket(folder))}

[ttrpc]
  address = ${text(`${containerdSocket(folder)}.ttrpc`)}

[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = ${text(settings.pauseImage)}

[plugins.'io.containerd.cri.v1.images'.registry]
  config_path = ${text(registryHosts(folder))}

[plugins.'io.containerd.cri.v1.runtime']
  # Lowering the score needs CAP_SYS_RESOURCE, and every sandbox would fail without it.
  restrict_oom_score_adj = true

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = 'io.containerd.runc.v2'
  # Found by PATH, it could be another version's, which speaks another protocol.
  runtime_path = ${text(settings.shim)}

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  BinaryName = ${text(settings.runc)}
  SystemdCgroup = false

[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = [${text(settings.cniFolder)}]
  conf_dir = ${text(join(folder, 'cni'))}

[plugins.'io.containerd.internal.v1.opt']
  path = ${text(join(folder, 'containerd', 'opt'))}

[plugins.'io.containerd.metadata.v1.bolt']
  no_sync = true
`;
}

/** The CNI configuration: one bridge, addresses from the pod range, no masquerading. */
export function cniConfig(network: ClusterNetwork): unknown {
  return {
    cniVersion: '1.0.0',
    name: 'pods',
    plugins: [
      {
        type: 'bridge',
        bridge: 'cni0',
        isGateway: true,
        hairpinMode: true,
        ipam: {
          type: 'host-local',
          ranges: [[{ subnet: network.podCidr }]],
          routes: [{ dst: '0.0.0.0/0' }],
        },
      },
      { type: 'portmap', capabilities: { portMappings: true } },
    ],
  };
}

/** The kubelet's configuration. */
export function kubeletConfig(settings: NodeSettings): unknown {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: settings.authority },
    },
    authorization: { mode: 'Webhook' },
    tlsCertFile: settings.kubeletServing.certificate,
    tlsPrivateKeyFile: settings.kubeletServing.key,
    containerRuntimeEndpoint: `unix://${containerdSocket(settings.folder)}`,
    clusterDomain: 'cluster.local',
    clusterDNS: [settings.network.dnsAddress],
    resolvConf: join(settings.folder, 'etc', 'resolv.conf'),
    cgroupDriver: 'cgroupfs',
    // Two kubelets on one machine remove each other's cgroups if they share a root.
    cgroupRoot: `/${settings.cgroup}`,
    failCgroupV1: false,
    failSwapOn: false,
    enforceNodeAllocatable: [],
    oomScoreAdj: 0,
    evictionHard: {
      'memory.available': '50Mi',
      'nodefs.available': '1%',
      'nodefs.inodesFree': '1%',
      'imagefs.available': '1%',
      'imagefs.inodesFree': '1%',
    },
    imageGCHighThresholdPercent: 100,
    // Images come from a loader or from a registry that asks for no credentials.
    imagePullCredentialsVerificationPolicy: 'NeverVerify',
    serializeImagePulls: false,
    registryPullQPS: 0,
    eventRecordQPS: 0,
    shutdownGracePeriod: '0s',
  };
}

/** kube-proxy's configuration: iptables, and no kernel setting that may be read-only. */
export function kubeProxyConfig(settings: NodeSettings): unknown {
  return {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    mode: 'iptables',
    hostnameOverride: settings.nodeName,
    clientConnection: { kubeconfig: join(settings.folder, 'kube-proxy.kubeconfig') },
    clusterCIDR: settings.network.podCidr,
    healthzBindAddress: '0.0.0.0:10256',
    oomScoreAdj: 0,
    conntrack: { maxPerCore: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
    iptables: { minSyncPeriod: '100ms', syncPeriod: '30s' },
  };
}

/** CoreDNS's configuration: the cluster's names, the registry and this machine; nothing beyond. */
export function corefile(settings: NodeSettings): string {
  return `.:53 {
    errors
    ready 0.0.0.0:8181
    cache 5
    loadbalance
    hosts {
        ${settings.network.nodeAddress} ${registryName}
        ${settings.network.hostAddress} ${hostName}
        fallthrough
    }
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        kubeconfig ${join(settings.folder, 'coredns.kubeconfig')}
        pods insecure
        ttl 5
    }
}
`;
}

/** The registry's configuration: every interface of the node, blobs in the instance's folder. */
export function registryConfig(folder: string): string {
  return `version: 0.1
log:
  level: info
storage:
  filesystem:
    rootdirectory: ${JSON.stringify(join(folder, 'registry'))}
  delete:
    enabled: true
http:
  addr: 0.0.0.0:5000
`;
}
