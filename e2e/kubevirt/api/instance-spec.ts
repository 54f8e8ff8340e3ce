/** A VirtualMachineInstance's spec, which is a VirtualMachine's template as well, as far as it is played. */

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
  macAddress?: string;
  masquerade?: object;
  bridge?: object;
  sriov?: object;
  passtBinding?: object;
  binding?: object;
  ports?: { name?: string; port: number; protocol?: string }[];
}

export interface DiskTarget {
  bus?: string;
  readonly?: boolean;
}

export interface Disk {
  name: string;
  disk?: DiskTarget;
  cdrom?: DiskTarget;
  lun?: DiskTarget;
  serial?: string;
}

export interface CloudInit {
  userData?: string;
  userDataBase64?: string;
  secretRef?: { name: string };
  networkData?: string;
  networkDataBase64?: string;
  networkDataSecretRef?: { name: string };
}

/** Exactly one source beside the name. */
export interface Volume {
  name: string;
  cloudInitNoCloud?: CloudInit;
  configMap?: { name: string; volumeLabel?: string; optional?: boolean };
  secret?: { secretName: string; volumeLabel?: string; optional?: boolean };
  emptyDisk?: { capacity: string };
  persistentVolumeClaim?: { claimName: string; readOnly?: boolean };
  dataVolume?: { name: string };
  [source: string]: unknown;
}

export interface Cpu {
  cores?: number;
  sockets?: number;
  threads?: number;
  model?: string;
}

export interface KernelBoot {
  kernelArgs?: string;
  container?: {
    image?: string;
    imagePullPolicy?: string;
    imagePullSecret?: string;
    kernelPath?: string;
    initrdPath?: string;
  };
}

export interface Firmware {
  uuid?: string;
  serial?: string;
  bootloader?: { bios?: object; efi?: { secureBoot?: boolean } };
  kernelBoot?: KernelBoot;
}

export interface Devices {
  disks?: Disk[];
  interfaces?: Interface[];
  logSerialConsole?: boolean;
  autoattachPodInterface?: boolean;
  rng?: object;
}

export interface Domain {
  machine?: { type?: string };
  memory?: { guest?: string };
  cpu?: Cpu;
  resources?: { requests?: Record<string, string>; limits?: Record<string, string> };
  features?: { smm?: { enabled?: boolean } };
  rebootPolicy?: string;
  firmware?: Firmware;
  devices: Devices;
}

export interface InstanceSpec {
  architecture?: string;
  hostname?: string;
  nodeSelector?: Record<string, string>;
  affinity?: unknown;
  tolerations?: unknown[];
  topologySpreadConstraints?: unknown[];
  priorityClassName?: string;
  evictionStrategy?: string;
  terminationGracePeriodSeconds?: number;
  readinessProbe?: Probe;
  livenessProbe?: Probe;
  domain: Domain;
  networks?: { name: string; pod?: object; multus?: object }[];
  volumes?: Volume[];
}
