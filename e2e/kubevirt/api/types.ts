/** The fields of KubeVirt 1.9 that the stand-in plays; everything else passes through untouched. */

import type { InstanceSpec } from './instance-spec.ts';

export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
  blockOwnerDeletion?: boolean;
}

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
  ownerReferences?: OwnerReference[];
}

export interface Condition {
  type: string;
  status: 'True' | 'False' | 'Unknown';
  reason?: string;
  message?: string;
  lastProbeTime?: string | null;
  lastTransitionTime?: string | null;
}

export interface Matcher {
  name?: string;
  kind?: string;
  revisionName?: string;
}

export interface Template {
  metadata?: { labels?: Record<string, string>; annotations?: Record<string, string> };
  spec: InstanceSpec;
}

export interface VirtualMachineSpec {
  runStrategy?: string;
  running?: boolean;
  instancetype?: Matcher;
  preference?: Matcher;
  template: Template;
}

export interface VirtualMachine {
  apiVersion: string;
  kind: 'VirtualMachine';
  metadata: Metadata;
  spec: VirtualMachineSpec;
  status?: VirtualMachineStatus;
}

export interface StateChangeRequest {
  action: 'Start' | 'Stop';
  uid?: string;
}

export interface StartFailure {
  consecutiveFailCount: number;
  lastFailedVMIUID: string;
  retryAfterTimestamp: string;
}

/** Which instance type or preference a machine was started with, as it was then. */
export interface SizingReference {
  name: string;
  kind: string;
  controllerRevisionRef?: { name: string };
}

export interface VirtualMachineStatus {
  printableStatus?: string;
  created?: boolean;
  ready?: boolean;
  observedGeneration?: number;
  desiredGeneration?: number;
  runStrategy?: string;
  startFailure?: StartFailure;
  stateChangeRequests?: StateChangeRequest[];
  instancetypeRef?: SizingReference;
  preferenceRef?: SizingReference;
  conditions?: Condition[];
}

export interface VirtualMachineInstance {
  apiVersion: string;
  kind: 'VirtualMachineInstance';
  metadata: Metadata;
  spec: InstanceSpec;
  status?: InstanceStatus;
}

export interface MigrationState {
  migrationUid?: string;
  sourceNode?: string;
  sourcePod?: string;
  targetNode?: string;
  targetPod?: string;
  targetNodeAddress?: string;
  startTimestamp?: string;
  endTimestamp?: string;
  completed?: boolean;
  failed?: boolean;
  failureReason?: string;
  abortStatus?: string;
  mode?: string;
}

export interface InstanceInterface {
  name: string;
  ipAddress: string;
  ipAddresses: string[];
  infoSource: string;
  linkState: string;
  mac?: string;
  podInterfaceName: string;
  queueCount: number;
}

export interface InstanceStatus {
  phase?: string;
  reason?: string;
  nodeName?: string;
  conditions?: Condition[];
  interfaces?: InstanceInterface[];
  activePods?: Record<string, string>;
  phaseTransitionTimestamps?: { phase: string; phaseTransitionTimestamp: string }[];
  guestOSInfo?: object;
  machine?: { type: string };
  memory?: { guestRequested: string; guestAtBoot: string; guestCurrent: string; memoryOverhead: string };
  currentCPUTopology?: { cores: number; sockets: number; threads: number };
  qosClass?: string;
  runtimeUser?: number;
  launcherContainerImageVersion?: string;
  virtualMachineRevisionName?: string;
  migrationMethod?: string;
  migrationState?: MigrationState;
  evacuationNodeName?: string;
}

export interface Migration {
  apiVersion: string;
  kind: 'VirtualMachineInstanceMigration';
  metadata: Metadata;
  spec: { vmiName: string };
  status?: {
    phase?: string;
    conditions?: Condition[];
    migrationState?: MigrationState;
    phaseTransitionTimestamps?: { phase: string; phaseTransitionTimestamp: string }[];
  };
}

/** apps/v1: what a virtual machine, or an instance type, was when something was made from it. */
export interface ControllerRevision {
  apiVersion: 'apps/v1';
  kind: 'ControllerRevision';
  metadata: Metadata;
  revision: number;
  data: unknown;
}

/** Of a PersistentVolumeClaim, what a disk needs to know. */
export interface Claim {
  apiVersion: string;
  kind: string;
  metadata: Metadata;
  spec?: { accessModes?: string[]; resources?: { requests?: { storage?: string } } };
  status?: { phase?: string; capacity?: { storage?: string } };
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
    qosClass?: string;
    conditions?: Condition[];
    initContainerStatuses?: ContainerStatus[];
    containerStatuses?: ContainerStatus[];
  };
}

/** An event to be recorded about an object: reason and words are KubeVirt's. */
export interface Told {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly note: string;
}
