/** The fields of KubeVirt 1.9 that the stand-in plays; everything else passes through untouched. */

export interface Metadata {
  name: string;
  namespace: string;
  uid?: string;
  generation?: number;
  resourceVersion?: string;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  finalizers?: string[];
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ownerReferences?: {
    apiVersion: string;
    kind: string;
    name: string;
    uid: string;
    controller?: boolean;
    blockOwnerDeletion?: boolean;
  }[];
}

export interface Condition {
  type: string;
  status: 'True' | 'False' | 'Unknown';
  reason?: string;
  message?: string;
  lastTransitionTime?: string | null;
}

export interface Probe {
  httpGet?: { path?: string; port: number | string; scheme?: string };
  tcpSocket?: { port: number | string };
  exec?: unknown;
  guestAgentPing?: unknown;
  initialDelaySeconds?: number;
  periodSeconds?: number;
  timeoutSeconds?: number;
  failureThreshold?: number;
  successThreshold?: number;
}

export interface Interface {
  name: string;
  masquerade?: object;
  bridge?: object;
  sriov?: object;
  passtBinding?: object;
  binding?: object;
  ports?: { name?: string; port: number; protocol?: string }[];
}

export interface InstanceSpec {
  architecture?: string;
  hostname?: string;
  nodeSelector?: Record<string, string>;
  affinity?: unknown;
  tolerations?: unknown[];
  priorityClassName?: string;
  evictionStrategy?: string;
  terminationGracePeriodSeconds?: number;
  readinessProbe?: Probe;
  livenessProbe?: Probe;
  domain: {
    machine?: { type?: string };
    memory?: { guest?: string };
    cpu?: { cores?: number; sockets?: number; threads?: number };
    resources?: { requests?: Record<string, string>; limits?: Record<string, string> };
    rebootPolicy?: string;
    firmware?: {
      uuid?: string;
      serial?: string;
      kernelBoot?: {
        kernelArgs?: string;
        container?: {
          image?: string;
          imagePullPolicy?: string;
          imagePullSecret?: string;
          kernelPath?: string;
          initrdPath?: string;
        };
      };
    };
    devices: {
      disks?: { name: string; [bus: string]: unknown }[];
      interfaces?: Interface[];
      logSerialConsole?: boolean;
      autoattachPodInterface?: boolean;
    };
  };
  networks?: { name: string; pod?: object; multus?: object }[];
  volumes?: { name: string; [source: string]: unknown }[];
}

export interface VirtualMachine {
  apiVersion: string;
  kind: 'VirtualMachine';
  metadata: Metadata;
  spec: {
    runStrategy?: string;
    running?: boolean;
    template: {
      metadata?: { labels?: Record<string, string>; annotations?: Record<string, string> };
      spec: InstanceSpec;
    };
  };
  status?: VirtualMachineStatus;
}

export interface VirtualMachineStatus {
  printableStatus?: string;
  created?: boolean;
  ready?: boolean;
  observedGeneration?: number;
  desiredGeneration?: number;
  runStrategy?: string;
  startFailure?: { consecutiveFailCount: number; lastFailedVMIUID: string; retryAfterTimestamp: string };
  conditions?: Condition[];
}

export interface VirtualMachineInstance {
  apiVersion: string;
  kind: 'VirtualMachineInstance';
  metadata: Metadata;
  spec: InstanceSpec;
  status?: InstanceStatus;
}

export interface InstanceStatus {
  phase?: string;
  nodeName?: string;
  conditions?: Condition[];
  interfaces?: {
    name: string;
    ipAddress: string;
    ipAddresses: string[];
    infoSource: string;
    linkState: string;
    podInterfaceName: string;
    queueCount: number;
  }[];
  activePods?: Record<string, string>;
  phaseTransitionTimestamps?: { phase: string; phaseTransitionTimestamp: string }[];
  guestOSInfo?: object;
  machine?: { type: string };
  runtimeUser?: number;
}

export interface ContainerStatus {
  name: string;
  ready: boolean;
  started?: boolean;
  image?: string;
  imageID?: string;
  state?: {
    waiting?: { reason?: string; message?: string };
    running?: { startedAt?: string };
    terminated?: { exitCode: number; reason?: string; message?: string };
  };
}

export interface Pod {
  apiVersion: 'v1';
  kind: 'Pod';
  metadata: Metadata;
  spec: Record<string, unknown> & { nodeName?: string };
  status?: {
    phase?: string;
    podIP?: string;
    podIPs?: { ip: string }[];
    reason?: string;
    message?: string;
    conditions?: Condition[];
    initContainerStatuses?: ContainerStatus[];
    containerStatuses?: ContainerStatus[];
  };
}
