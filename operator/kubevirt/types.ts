/**
 * The fields of KubeVirt's kinds that we write or read (kubevirt.io/v1). KubeVirt has no npm client;
 * what is not here is left to KubeVirt, and stays as it is, since we apply and never replace.
 */

export const KUBEVIRT_API_VERSION = 'kubevirt.io/v1';

/** How the API server addresses the kinds. */
export const VIRTUAL_MACHINE_RESOURCE = {
  group: 'kubevirt.io',
  version: 'v1',
  plural: 'virtualmachines',
  kind: 'VirtualMachine',
  namespaced: true,
} as const;

export const VIRTUAL_MACHINE_INSTANCE_RESOURCE = {
  group: 'kubevirt.io',
  version: 'v1',
  plural: 'virtualmachineinstances',
  kind: 'VirtualMachineInstance',
  namespaced: true,
} as const;

/** The aggregated API that takes `restart`; it serves no objects. */
export const VIRTUAL_MACHINE_SUBRESOURCE = {
  group: 'subresources.kubevirt.io',
  version: 'v1',
  plural: 'virtualmachines',
  kind: 'VirtualMachine',
  namespaced: true,
} as const;

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

export interface Metadata {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
}

/** As Kubernetes' own, except that `observedGeneration` is absent and reasons may hold spaces. */
export interface KubeVirtCondition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
  readonly lastTransitionTime?: string | null;
}

export interface VirtualMachine {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Metadata;
  readonly spec: VirtualMachineSpec;
  readonly status?: VirtualMachineStatus;
}

export interface VirtualMachineSpec {
  readonly runStrategy?: string;
  readonly instancetype?: Matcher;
  readonly preference?: Matcher;
  readonly template: {
    readonly metadata?: {
      readonly labels?: Readonly<Record<string, string>>;
      readonly annotations?: Readonly<Record<string, string>>;
    };
    readonly spec: InstanceSpec;
  };
}

export interface Matcher {
  readonly name: string;
  readonly kind?: string;
  readonly revisionName?: string;
}

export interface InstanceSpec {
  readonly architecture?: string;
  readonly terminationGracePeriodSeconds?: number;
  readonly evictionStrategy?: string;
  readonly domain: Domain;
  readonly networks?: readonly Network[];
  readonly volumes?: readonly Volume[];
  readonly readinessProbe?: Probe;
  readonly livenessProbe?: Probe;
  readonly nodeSelector?: Readonly<Record<string, string>>;
  readonly tolerations?: readonly unknown[];
  readonly affinity?: unknown;
  readonly topologySpreadConstraints?: readonly unknown[];
  readonly priorityClassName?: string;
}

export interface Domain {
  readonly memory?: { readonly guest: string };
  readonly cpu?: {
    readonly cores?: number;
    readonly sockets?: number;
    readonly threads?: number;
    readonly model?: string;
  };
  readonly firmware?: { readonly kernelBoot?: KernelBoot };
  readonly devices: {
    readonly disks?: readonly Disk[];
    readonly interfaces?: readonly Interface[];
    readonly rng?: Readonly<Record<string, never>>;
    readonly logSerialConsole?: boolean;
    readonly autoattachPodInterface?: boolean;
  };
}

export interface KernelBoot {
  readonly kernelArgs?: string;
  readonly container?: {
    readonly image: string;
    readonly imagePullPolicy?: string;
    readonly imagePullSecret?: string;
    readonly kernelPath?: string;
    readonly initrdPath?: string;
  };
}

export interface Disk {
  readonly name: string;
  readonly disk?: { readonly bus?: string; readonly readonly?: boolean };
  readonly cdrom?: { readonly bus?: string };
  readonly serial?: string;
}

export interface Interface {
  readonly name: string;
  readonly masquerade?: Readonly<Record<string, never>>;
  readonly bridge?: Readonly<Record<string, never>>;
  readonly sriov?: Readonly<Record<string, never>>;
  readonly ports?: readonly { readonly name?: string; readonly port: number; readonly protocol?: string }[];
}

export interface Network {
  readonly name: string;
  readonly pod?: Readonly<Record<string, never>>;
  readonly multus?: { readonly networkName: string };
}

export interface Volume {
  readonly name: string;
  readonly persistentVolumeClaim?: { readonly claimName: string; readonly readOnly?: boolean };
  readonly emptyDisk?: { readonly capacity: string };
  readonly configMap?: { readonly name: string; readonly volumeLabel?: string };
  readonly secret?: { readonly secretName: string; readonly volumeLabel?: string };
}

export interface Probe {
  readonly tcpSocket?: { readonly port: number };
  readonly httpGet?: { readonly path?: string; readonly port: number; readonly scheme?: string };
  readonly initialDelaySeconds?: number;
  readonly periodSeconds?: number;
  readonly timeoutSeconds?: number;
  readonly successThreshold?: number;
  readonly failureThreshold?: number;
}

/**
 * `observedGeneration` is missing on purpose: it is the generation that the running instance
 * was made from, lags for as long as a restart is pending, and is nothing to wait for.
 */
export interface VirtualMachineStatus {
  readonly printableStatus?: string;
  /** Absent, not false, while the machine is not ready. */
  readonly ready?: boolean;
  readonly created?: boolean;
  readonly conditions?: readonly KubeVirtCondition[];
  /** The run strategy that KubeVirt has last acted by. */
  readonly runStrategy?: string;
  /** Requests to stop or start that are under way. */
  readonly stateChangeRequests?: readonly unknown[];
  readonly startFailure?: { readonly consecutiveFailCount?: number; readonly retryAfterTimestamp?: string };
}

export interface VirtualMachineInstance {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Metadata;
  readonly spec: InstanceSpec;
  readonly status?: VirtualMachineInstanceStatus;
}

export interface VirtualMachineInstanceStatus {
  /** '', Pending, Scheduling, Scheduled, Running, Succeeded, Failed, WaitingForSync, Unknown. */
  readonly phase?: string;
  readonly nodeName?: string;
  readonly conditions?: readonly KubeVirtCondition[];
  readonly interfaces?: readonly {
    readonly name?: string;
    readonly ipAddress?: string;
    readonly ipAddresses?: readonly string[];
  }[];
  /** The node that the instance is to leave: it is being drained. */
  readonly evacuationNodeName?: string;
  readonly migrationState?: {
    readonly completed?: boolean;
    readonly failed?: boolean;
    readonly endTimestamp?: string | null;
  };
}

/** What of a virt-launcher pod is read when VM and VMI say nothing. */
export interface LauncherPod {
  readonly metadata: Metadata;
  readonly status?: {
    readonly phase?: string;
    readonly conditions?: readonly KubeVirtCondition[];
    readonly initContainerStatuses?: readonly ContainerStatus[];
    readonly containerStatuses?: readonly ContainerStatus[];
  };
}

export interface ContainerStatus {
  readonly name: string;
  readonly state?: {
    readonly waiting?: { readonly reason?: string; readonly message?: string };
    readonly terminated?: { readonly reason?: string; readonly message?: string; readonly exitCode?: number };
  };
}
