/** A Go module of ours that pins and builds commands whose dependencies agree. */
export interface ToolFamily {
  /** Binary name to the package it is built from. */
  readonly commands: Readonly<Record<string, string>>;
  readonly tags?: readonly string[];
  /** Variables set at link time, `package.variable` to value. */
  readonly variables?: Readonly<Record<string, string>>;
  /**
   * Whether a first run matters more than the speed of the commands: compiled without debug information and
   * without inlining, which is a third less to wait for.
   */
  readonly quick?: boolean;
  /** Whether C code is linked, and then which Debian packages it needs. */
  readonly cgo?: readonly string[];
}

const kubernetesVersion = '1.36.3';
const [major = '', minor = ''] = kubernetesVersion.split('.');
const stamped = ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version'].flatMap((where) => [
  [`${where}.gitVersion`, `v${kubernetesVersion}`] as const,
  [`${where}.gitMajor`, major] as const,
  [`${where}.gitMinor`, minor] as const,
  [`${where}.gitTreeState`, 'clean'] as const,
]);

/**
 * The families. Each folder beside this file holds the go.mod and go.sum of one;
 * versions are changed there, and the version stamps here. Most of what a cluster consists of is one
 * family, so that what its parts have in common, half of all, is of one version and compiled once.
 */
export const toolFamilies = {
  cluster: {
    commands: {
      'kube-apiserver': 'k8s.io/kubernetes/cmd/kube-apiserver',
      'kube-controller-manager': 'k8s.io/kubernetes/cmd/kube-controller-manager',
      'kube-scheduler': 'k8s.io/kubernetes/cmd/kube-scheduler',
      'kube-proxy': 'k8s.io/kubernetes/cmd/kube-proxy',
      kubelet: 'k8s.io/kubernetes/cmd/kubelet',
      kubectl: 'k8s.io/kubernetes/cmd/kubectl',
      etcd: 'go.etcd.io/etcd/server/v3',
      bridge: 'github.com/containernetworking/plugins/plugins/main/bridge',
      loopback: 'github.com/containernetworking/plugins/plugins/main/loopback',
      'host-local': 'github.com/containernetworking/plugins/plugins/ipam/host-local',
      portmap: 'github.com/containernetworking/plugins/plugins/meta/portmap',
      coredns: 'linuxkit.dev/e2e/tools/cluster/coredns',
      registry: 'linuxkit.dev/e2e/tools/cluster/registry',
      versitygw: 'github.com/versity/versitygw/cmd/versitygw',
      helm: 'helm.sh/helm/v3/cmd/helm',
    },
    // Without its stamp the API server calls itself v0.0.0, which Helm's
    // kubeVersion constraints and kubelet skew checks take at its word.
    variables: Object.fromEntries(stamped),
    quick: true,
  },
  // Apart, since Kubernetes 1.36 does not compile with the version of the CRI that it needs.
  containerd: {
    commands: {
      containerd: 'github.com/containerd/containerd/v2/cmd/containerd',
      'containerd-shim-runc-v2': 'github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2',
      ctr: 'github.com/containerd/containerd/v2/cmd/ctr',
    },
    tags: ['no_btrfs'],
    variables: { 'github.com/containerd/containerd/v2/version.Version': '2.4.2' },
    quick: true,
  },
  runc: {
    commands: { runc: 'github.com/opencontainers/runc' },
    tags: ['seccomp'],
    quick: true,
    cgo: ['gcc', 'libc6-dev', 'libseccomp-dev', 'pkg-config'],
  },
  pause: { commands: { pause: 'linuxkit.dev/e2e/tools/pause' }, quick: true },
  cosign: { commands: { cosign: 'linuxkit.dev/e2e/tools/cosign' } },
  helm4: { commands: { helm4: 'helm.sh/helm/v4/cmd/helm' } },
  'helm-unittest': {
    commands: { 'helm-unittest': 'github.com/helm-unittest/helm-unittest/cmd/helm-unittest' },
  },
  kubeconform: { commands: { kubeconform: 'github.com/yannh/kubeconform/cmd/kubeconform' } },
  prometheus: {
    commands: {
      promtool: 'github.com/prometheus/prometheus/cmd/promtool',
      prometheus: 'github.com/prometheus/prometheus/cmd/prometheus',
    },
    // The clients of a dozen clouds would take longer to compile than all the rest.
    tags: ['remove_all_sd', 'enable_kubernetes_sd'],
  },
} as const satisfies Readonly<Record<string, ToolFamily>>;

/** The name of a family, and of its folder. */
export type FamilyName = keyof typeof toolFamilies;

/** The name of a binary that some family builds. */
export type ToolName = {
  [F in FamilyName]: keyof (typeof toolFamilies)[F]['commands'] & string;
}[FamilyName];

/** The family that builds `tool`. */
export function familyOf(tool: ToolName): FamilyName {
  for (const [name, family] of Object.entries(toolFamilies)) {
    if (Object.hasOwn(family.commands, tool)) return name as FamilyName;
  }
  throw new Error(`no tool family builds ${tool}`);
}

/** The arguments of `go build` that decide what its output is, packages excluded. */
export function buildFlags(family: ToolFamily): readonly string[] {
  const variables = Object.entries(family.variables ?? {}).map(([name, value]) => `-X ${name}=${value}`);
  return [
    ...(family.quick === true ? ['-gcflags=all=-dwarf=false -l'] : []),
    '-trimpath',
    '-buildvcs=false',
    ...(family.tags === undefined ? [] : ['-tags', family.tags.join(',')]),
    '-ldflags',
    ['-s', '-w', ...variables].join(' '),
  ];
}
