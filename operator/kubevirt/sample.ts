import type { Digest } from '../api/digest.ts';
import type { Artifact } from '../api/image.ts';
import { type LinuxKitMachine, parseMachine } from '../api/machine.ts';

/** Test data: an artifact and machines of it, small enough to compare whole. */

export function sampleDigest(seed: string): Digest {
  return `sha256:${seed.repeat(64).slice(0, 64)}` as Digest;
}

const MEBIBYTE = 2 ** 20;

export function sampleArtifact(changes: Partial<Artifact> = {}, seed = 'a'): Artifact {
  const file = { key: 'default/web/file', sha256: seed.repeat(64).slice(0, 64) };
  const bootImage = sampleDigest(`${seed}b`);
  return {
    digest: sampleDigest(seed),
    bootImage: { digest: bootImage, reference: `default/web@${bootImage}` },
    architecture: 'amd64',
    compression: 'zstd',
    kernel: { ...file, size: 14 * MEBIBYTE },
    initrd: { ...file, size: 20 * MEBIBYTE, uncompressedSize: 60 * MEBIBYTE },
    cmdline: { ...file, size: 13, text: 'console=ttyS0' },
    inputs: [],
    created: '2026-11-24T10:00:00Z',
    reason: 'Created',
    ...changes,
  };
}

export function sampleMachine(
  spec: Readonly<Record<string, unknown>> = {},
  metadata: Readonly<Record<string, unknown>> = {},
): LinuxKitMachine {
  return parseMachine({
    apiVersion: 'linuxkit.dev/v1alpha1',
    kind: 'LinuxKitMachine',
    metadata: { name: 'web', namespace: 'default', uid: 'machine-uid', generation: 1, ...metadata },
    spec: { imageRef: { name: 'web' }, memory: '512Mi', ...spec },
  });
}

/** A machine with every field of the spec set: what it renders to must please KubeVirt's schema. */
export const FULL_SPEC: Readonly<Record<string, unknown>> = {
  replicas: 3,
  runStrategy: 'RerunOnFailure',
  cpu: { cores: 2, sockets: 2, threads: 1, model: 'host-model' },
  memory: '1Gi',
  kernelArgs: 'quiet panic=10',
  network: {
    ports: [{ name: 'http', port: 80 }],
    additional: [
      { name: 'storage', networkAttachmentDefinition: 'networks/storage' },
      { name: 'fast', networkAttachmentDefinition: 'fast', binding: 'sriov' },
    ],
  },
  disks: [
    { name: 'data', persistentVolumeClaim: { claimName: 'data', readOnly: true }, serial: 'DATA' },
    { name: 'scratch', emptyDisk: { capacity: '10Gi' }, bus: 'scsi' },
  ],
  metadata: {
    hostname: 'front',
    sshAuthorizedKeys: ['ssh-ed25519 AAAA me'],
    files: [{ path: 'app/a', content: 'x' }],
  },
  readinessProbe: { httpGet: { path: '/healthz', port: 80 } },
  livenessProbe: { tcpSocket: { port: 22 }, periodSeconds: 30 },
  terminationGracePeriodSeconds: 5,
  evictionStrategy: 'None',
  logSerialConsole: false,
  scheduling: {
    nodeSelector: { disk: 'ssd' },
    tolerations: [{ key: 'vms', operator: 'Exists', effect: 'NoSchedule' }],
    affinity: {
      podAntiAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          { topologyKey: 'kubernetes.io/hostname', labelSelector: { matchLabels: { app: 'web' } } },
        ],
      },
    },
    topologySpreadConstraints: [
      {
        maxSkew: 1,
        topologyKey: 'zone',
        whenUnsatisfiable: 'ScheduleAnyway',
        labelSelector: { matchLabels: { app: 'web' } },
      },
    ],
    priorityClassName: 'vms',
  },
  template: {
    metadata: { labels: { app: 'web' }, annotations: { note: 'x' } },
    spec: {
      domain: {
        devices: {
          interfaces: [{ name: 'default', model: 'virtio' }],
          watchdog: { name: 'dog', i6300esb: { action: 'reset' } },
        },
      },
      dnsPolicy: 'ClusterFirst',
    },
  },
};
