import type { Artifact } from '../../api/image.ts';
import { API_VERSION, IMAGE_KIND, MACHINE_KIND } from '../../api/names.ts';
import type { ImageObject } from '../../controllers/image/objects.ts';
import type { MachineObject } from './objects.ts';

/** Objects for tests, as an API server gives them. */

export const NOW = Date.parse('2026-11-24T12:00:00Z');

const hex = (digit: string) => digit.repeat(64);
const file = (name: string) => ({ key: `tenant/web/sha256-x/${name}`, size: 1_500_000, sha256: hex('f') });
type Conditions = NonNullable<NonNullable<ImageObject['status']>['conditions']>;

export function conditions(
  ready: 'True' | 'False',
  reason: string,
  message: string,
  ...others: string[]
): Conditions {
  const lastTransitionTime = '2026-11-24T11:00:00Z';
  return [
    { type: 'Ready', status: ready, reason, message, lastTransitionTime },
    ...others.map((type) => ({ type, status: 'True' as const, reason, message, lastTransitionTime })),
  ];
}

export function artifact(digit: string, created: string, reason: Artifact['reason'] = 'Created'): Artifact {
  return {
    digest: `sha256:${hex(digit)}` as Artifact['digest'],
    bootImage: {
      reference: `tenant/web@sha256:${hex('b')}`,
      digest: `sha256:${hex('b')}` as Artifact['digest'],
    },
    architecture: 'amd64',
    compression: 'zstd',
    kernel: file('kernel'),
    initrd: file('initrd.img'),
    cmdline: { ...file('cmdline'), text: 'console=ttyS0' },
    inputs: [],
    created,
    reason,
    buildHash: '0123456789abcdef',
  };
}

export const IMAGE: ImageObject = {
  apiVersion: API_VERSION,
  kind: IMAGE_KIND,
  metadata: { name: 'web', namespace: 'tenant', creationTimestamp: '2026-11-24T10:00:00Z' },
  status: {
    conditions: conditions('True', 'Available', 'the artifact is stored'),
    artifact: artifact('a', '2026-11-24T11:30:00Z', 'SpecChanged'),
    history: [artifact('c', '2026-11-24T10:00:00Z')],
  },
};

const revision = (number: number, digit: string, cause: string) => ({
  name: `web-${number}`,
  number,
  digest: `sha256:${hex(digit)}` as Artifact['digest'],
  created: '2026-11-24T11:30:00Z',
  cause,
});

export const MACHINE: MachineObject = {
  apiVersion: API_VERSION,
  kind: MACHINE_KIND,
  metadata: { name: 'web', namespace: 'tenant', creationTimestamp: '2026-11-24T10:00:00Z' },
  spec: { imageRef: { name: 'web' }, replicas: 2, memory: '256Mi' } as NonNullable<MachineObject['spec']>,
  status: {
    conditions: conditions('False', 'RolledBack', 'revision 2 did not come up', 'Reconciling'),
    readyReplicas: 1,
    updatedReplicas: 1,
    currentDigest: `sha256:${hex('c')}` as Artifact['digest'],
    targetDigest: `sha256:${hex('c')}` as Artifact['digest'],
    currentRevision: 'web-1',
    targetRevision: 'web-1',
    healthyRevision: 'web-1',
    revisions: [revision(2, 'a', 'artifact'), revision(1, 'c', 'first')],
    failedRevision: {
      name: 'web-2',
      digest: `sha256:${hex('a')}` as Artifact['digest'],
      reason: 'ProgressDeadlineExceeded',
      message: 'web-1 was not ready after 600 s',
      time: '2026-11-24T11:50:00Z',
      rolledBackTo: 'web-1',
      halted: false,
    },
    machines: [
      {
        name: 'web-0',
        ordinal: 0,
        phase: 'Running',
        ready: true,
        updated: true,
        bootedDigest: `sha256:${hex('c')}` as Artifact['digest'],
        node: 'node-1',
        addresses: ['10.0.0.7'],
      },
      { name: 'web-1', ordinal: 1, phase: 'Failing', ready: false, updated: false, message: 'no such\nnode' },
    ],
  },
};
