import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { refusals } from '../../e2e/kubevirt/admission/virtual-machine-rules.ts';
import type { VirtualMachine as AdmittedMachine } from '../../e2e/kubevirt/api/types.ts';
import { machineSpec } from '../api/machine.ts';
import { claimsOf } from './claim.ts';
import { renderVirtualMachine } from './render.ts';
import { REVISION_FIELDS, restartToken, revisionName, revisionSpec, withRevisionSpec } from './revision.ts';
import { FULL_SPEC, sampleArtifact, sampleDigest, sampleMachine } from './sample.ts';

const options = { bootRegistryHost: '127.0.0.1:30500' };
const artifact = sampleArtifact();
const revision = { name: 'web-1', artifact };

test('the smallest machine, whole', () => {
  const machine = sampleMachine();
  expect(renderVirtualMachine(machine, 0, revision, options)).toEqual({
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachine',
    metadata: {
      name: 'web-0',
      namespace: 'default',
      labels: { 'linuxkit.dev/machine': 'web', 'linuxkit.dev/ordinal': '0' },
      ownerReferences: [
        {
          apiVersion: 'linuxkit.dev/v1alpha1',
          kind: 'LinuxKitMachine',
          name: 'web',
          uid: 'machine-uid',
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    spec: {
      runStrategy: 'Always',
      template: {
        metadata: {
          labels: { 'linuxkit.dev/machine': 'web', 'linuxkit.dev/ordinal': '0' },
          annotations: {
            'linuxkit.dev/artifact': sampleDigest('a'),
            'linuxkit.dev/revision': 'web-1',
          },
        },
        spec: {
          architecture: 'amd64',
          terminationGracePeriodSeconds: 10,
          evictionStrategy: 'LiveMigrateIfPossible',
          domain: {
            cpu: { cores: 1, sockets: 1, threads: 1 },
            memory: { guest: '512Mi' },
            firmware: {
              kernelBoot: {
                kernelArgs: 'console=ttyS0',
                container: {
                  image: `127.0.0.1:30500/default/web@${sampleDigest('ab')}`,
                  imagePullPolicy: 'IfNotPresent',
                  kernelPath: '/boot/kernel',
                  initrdPath: '/boot/initrd.img',
                },
              },
            },
            devices: { interfaces: [{ name: 'default', masquerade: {} }], rng: {}, logSerialConsole: true },
          },
          networks: [{ name: 'default', pod: {} }],
        },
      },
    },
  });
});

test('the largest machine, whole', () => {
  const { spec } = renderVirtualMachine(sampleMachine(FULL_SPEC), 2, { ...revision, restart: 'T1' }, options);
  expect(spec.runStrategy).toBe('RerunOnFailure');
  expect(spec.template.metadata?.labels).toEqual({
    app: 'web',
    'linuxkit.dev/machine': 'web',
    'linuxkit.dev/ordinal': '2',
  });
  expect(spec.template.metadata?.annotations).toMatchObject({
    note: 'x',
    'linuxkit.dev/restart-requested-at': 'T1',
  });
  expect(spec.template.spec).toEqual({
    architecture: 'amd64',
    terminationGracePeriodSeconds: 5,
    evictionStrategy: 'None',
    dnsPolicy: 'ClusterFirst',
    domain: {
      cpu: { cores: 2, sockets: 2, threads: 1, model: 'host-model' },
      memory: { guest: '1Gi' },
      firmware: {
        kernelBoot: {
          kernelArgs: 'console=ttyS0 quiet panic=10',
          container: {
            image: `127.0.0.1:30500/default/web@${artifact.bootImage.digest}`,
            imagePullPolicy: 'IfNotPresent',
            kernelPath: '/boot/kernel',
            initrdPath: '/boot/initrd.img',
          },
        },
      },
      devices: {
        disks: [
          { name: 'data', disk: { bus: 'virtio', readonly: true }, serial: 'DATA' },
          { name: 'scratch', disk: { bus: 'scsi' } },
          { name: 'linuxkit-metadata', cdrom: { bus: 'scsi' } },
        ],
        interfaces: [
          {
            name: 'default',
            masquerade: {},
            ports: [{ name: 'http', port: 80, protocol: 'TCP' }],
            model: 'virtio',
          },
          { name: 'storage', bridge: {} },
          { name: 'fast', sriov: {} },
        ],
        watchdog: { name: 'dog', i6300esb: { action: 'reset' } },
        rng: {},
        logSerialConsole: false,
      },
    },
    networks: [
      { name: 'default', pod: {} },
      { name: 'storage', multus: { networkName: 'networks/storage' } },
      { name: 'fast', multus: { networkName: 'fast' } },
    ],
    volumes: [
      { name: 'data', persistentVolumeClaim: { claimName: 'data', readOnly: true } },
      { name: 'scratch', emptyDisk: { capacity: '10Gi' } },
      {
        name: 'linuxkit-metadata',
        configMap: {
          name: expect.stringMatching(/^web-2-metadata-[0-9a-f]{10}$/) as unknown,
          volumeLabel: 'cidata',
        },
      },
    ],
    readinessProbe: {
      httpGet: { path: '/healthz', port: 80, scheme: 'HTTP' },
      initialDelaySeconds: 0,
      periodSeconds: 10,
      timeoutSeconds: 1,
      successThreshold: 1,
      failureThreshold: 3,
    },
    livenessProbe: expect.objectContaining({ tcpSocket: { port: 22 }, periodSeconds: 30 }) as unknown,
    nodeSelector: { disk: 'ssd' },
    tolerations: [{ key: 'vms', operator: 'Exists', effect: 'NoSchedule' }],
    affinity: (FULL_SPEC['scheduling'] as { affinity: unknown }).affinity,
    topologySpreadConstraints: [expect.objectContaining({ maxSkew: 1 })],
    priorityClassName: 'vms',
  });
});

test('KubeVirt’s admission takes whatever is made of any of the fields', () => {
  const { memory, ...others } = FULL_SPEC;
  fc.assert(
    fc.property(fc.subarray(Object.keys(others)), (names) => {
      const spec = Object.fromEntries(names.map((name) => [name, others[name]]));
      const rendered = renderVirtualMachine(sampleMachine({ memory, ...spec }), 0, revision, options);
      expect(refusals(rendered as unknown as AdmittedMachine)).toEqual([]);
    }),
  );
  const odd = { template: { spec: { hostname: 'not a name' } } };
  const rendered = renderVirtualMachine(sampleMachine(odd), 0, revision, options);
  expect(refusals(rendered as unknown as AdmittedMachine)).toHaveLength(1);
});

/** An artifact whose boot image was pushed. */
const pushed = (pullSecretName?: string) => {
  const { digest } = artifact.bootImage;
  const repository = 'registry.example:5000/boot/web';
  return sampleArtifact({
    bootImage: {
      digest,
      reference: `${repository}@${digest}`,
      repository,
      ...(pullSecretName === undefined ? {} : { pullSecretName }),
    },
  });
};

describe('single differences', () => {
  const domain = (spec: Readonly<Record<string, unknown>>, from = artifact) =>
    renderVirtualMachine(sampleMachine(spec), 0, { name: 'web-1', artifact: from }, options).spec.template
      .spec;

  test('arm64 has no disk by SATA, which its machine type lacks', () => {
    const { devices } = domain(FULL_SPEC, sampleArtifact({ architecture: 'arm64' })).domain;
    const buses = devices?.disks?.map(({ disk, cdrom }) => (disk ?? cdrom)?.bus);
    expect(buses).toEqual(['virtio', 'scsi', 'scsi']);
  });

  test('arm64 has another serial port', () => {
    const arm = sampleArtifact({ architecture: 'arm64', cmdline: { ...artifact.cmdline, text: 'quiet' } });
    expect(domain({}, arm)).toMatchObject({
      architecture: 'arm64',
      domain: { firmware: { kernelBoot: { kernelArgs: 'quiet console=ttyAMA0' } } },
    });
  });

  test.each([
    ['', pushed(), {}],
    [', with the Secret for that', pushed('pull'), { imagePullSecret: 'pull' }],
  ])('an image that was pushed is pulled from there%s', (_title, from, secret) => {
    expect(domain({}, from).domain.firmware?.kernelBoot?.container).toEqual({
      image: `registry.example:5000/boot/web@${artifact.bootImage.digest}`,
      imagePullPolicy: 'IfNotPresent',
      ...secret,
      kernelPath: '/boot/kernel',
      initrdPath: '/boot/initrd.img',
    });
    const rendered = renderVirtualMachine(sampleMachine(), 0, { name: 'web-1', artifact: from }, options);
    expect(refusals(rendered as unknown as AdmittedMachine)).toEqual([]);
  });

  test('an instance type sets processors and memory alone', () => {
    const { spec } = renderVirtualMachine(
      sampleMachine({ memory: undefined, instancetype: { name: 'small' }, preference: { name: 'linux' } }),
      0,
      revision,
      options,
    );
    expect(spec.instancetype).toEqual({ name: 'small', kind: 'VirtualMachineClusterInstancetype' });
    expect(spec.preference).toEqual({ name: 'linux', kind: 'VirtualMachineClusterPreference' });
    expect(spec.template.spec.domain.memory).toBeUndefined();
    expect(spec.template.spec.domain.cpu).toBeUndefined();
  });

  test('without the pod network KubeVirt may not add it by bridge', () => {
    const spec = domain({ network: { pod: false } });
    expect(spec.networks).toBeUndefined();
    expect(spec.domain.devices).toMatchObject({ autoattachPodInterface: false });
    expect(spec.domain.devices.interfaces).toBeUndefined();
  });

  test('metadata from a Secret goes by name', () => {
    const spec = domain({ metadata: { secretRef: { name: 'keys' } } });
    expect(spec.volumes).toEqual([
      { name: 'linuxkit-metadata', secret: { secretName: 'keys', volumeLabel: 'cidata' } },
    ]);
    expect(spec.domain.devices.disks).toEqual([{ name: 'linuxkit-metadata', cdrom: { bus: 'scsi' } }]);
  });

  test('a claim template becomes a claim of its own for each machine', () => {
    const disks = [{ name: 'data', volumeClaimTemplate: { resources: { requests: { storage: '1Gi' } } } }];
    const machine = sampleMachine({ disks });
    const { spec } = renderVirtualMachine(machine, 3, revision, options).spec.template;
    expect(spec.volumes).toEqual([{ name: 'data', persistentVolumeClaim: { claimName: 'data-web-3' } }]);
    expect(claimsOf(machine, 3)).toEqual([
      {
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        metadata: {
          name: 'data-web-3',
          namespace: 'default',
          labels: { 'linuxkit.dev/machine': 'web', 'linuxkit.dev/ordinal': '3' },
        },
        spec: {
          accessModes: ['ReadWriteOnce'],
          volumeMode: 'Filesystem',
          resources: { requests: { storage: '1Gi' } },
        },
      },
    ]);
    const goes = sampleMachine({ disks, persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Delete' } });
    expect(claimsOf(goes, 0)[0]?.metadata.ownerReferences).toMatchObject([{ uid: 'machine-uid' }]);
  });

  test('what is not said of memory is said by the template', () => {
    const template = { spec: { domain: { memory: { hugepages: { pageSize: '2Mi' } } } } };
    expect(domain({ template }).domain.memory).toEqual({ guest: '512Mi', hugepages: { pageSize: '2Mi' } });
  });

  test('memory as a number of bytes is text in the end', () => {
    expect(domain({ memory: 1_073_741_824 }).domain.memory).toEqual({ guest: '1073741824' });
  });
});

/** What is about the machines as a whole, or about claims: no virtual machine shows it. */
const NOT_RENDERED = ['imageRef', 'update', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy'];
const SIZED_ELSEWHERE = { instancetype: { name: 'small' }, preference: { name: 'linux' } };

test('every field of the spec is in the largest machine, but for those that it cannot have', () => {
  const named = [...Object.keys({ ...FULL_SPEC, ...SIZED_ELSEWHERE }), ...NOT_RENDERED];
  expect(named.toSorted()).toEqual(Object.keys(machineSpec.shape).toSorted());
});

test.each(Object.keys(FULL_SPEC).filter((field) => field !== 'replicas'))(
  'the virtual machine shows %s',
  (field) => {
    const plain = renderVirtualMachine(sampleMachine(), 0, revision, options);
    const showing = renderVirtualMachine(sampleMachine({ [field]: FULL_SPEC[field] }), 0, revision, options);
    expect(showing).not.toEqual(plain);
  },
);

describe('revision', () => {
  const base = revisionName(sampleMachine(), artifact);

  test('is the one that it was before images could be pushed', () => {
    expect(base).toBe('web-21ab03a2a0');
  });

  test('is named after the machine', () => {
    expect(base).toMatch(/^web-[0-9a-f]{10}$/);
  });

  test.each([
    ['another artifact', revisionName(sampleMachine(), sampleArtifact({}, 'c'))],
    ['another place to boot from', revisionName(sampleMachine(), pushed())],
    ['a machine of the same name', revisionName(sampleMachine({}, { uid: 'another' }), artifact)],
  ])('changes with %s', (_title, revision) => {
    expect(revision).not.toBe(base);
  });

  const applied = ['imageRef', 'replicas', 'runStrategy', 'scheduling'];

  test('takes in every field but those that are applied as they are, or are no part of a virtual machine', () => {
    const others = Object.keys(machineSpec.shape).filter(
      (field) => ![...applied, ...NOT_RENDERED].includes(field),
    );
    expect(others.toSorted()).toEqual([...REVISION_FIELDS].toSorted());
  });

  test.each(REVISION_FIELDS)('changes with %s', (field) => {
    const given: Readonly<Record<string, unknown>> = { ...FULL_SPEC, ...SIZED_ELSEWHERE };
    const before = field === 'instancetype' ? { memory: undefined, instancetype: { name: 'large' } } : {};
    const after =
      field === 'instancetype' ? { ...before, instancetype: { name: 'small' } } : { [field]: given[field] };
    expect(revisionName(sampleMachine(after), artifact)).not.toBe(
      revisionName(sampleMachine(before), artifact),
    );
  });

  test('changes with the Secret to pull with', () => {
    expect(revisionName(sampleMachine(), pushed('pull'))).not.toBe(revisionName(sampleMachine(), pushed()));
  });

  test.each([
    ['replicas', { replicas: 7 }],
    ['the run strategy', { runStrategy: 'Manual' }],
    ['scheduling, which KubeVirt changes by itself', { scheduling: { nodeSelector: { a: 'b' } } }],
    ['how it is updated', { update: { maxUnavailable: 2 } }],
  ])('does not change with %s', (_title, spec) => {
    expect(revisionName(sampleMachine(spec), artifact)).toBe(base);
  });

  test('does not change with what a claim template asks for, which no present claim takes in', () => {
    const disks = (storage: string): Readonly<Record<string, unknown>> => ({
      disks: [{ name: 'data', volumeClaimTemplate: { resources: { requests: { storage } } } }],
    });
    expect(revisionName(sampleMachine(disks('2Gi')), artifact)).toBe(
      revisionName(sampleMachine(disks('1Gi')), artifact),
    );
  });

  test('a machine is put together again from its revision and what it is now', () => {
    const then = sampleMachine({ ...FULL_SPEC, replicas: 3 });
    const now = sampleMachine({ replicas: 5, kernelArgs: 'debug', update: { maxUnavailable: 2 } });
    const again = withRevisionSpec(now, revisionSpec(then.spec));
    expect(again.spec).toMatchObject({
      replicas: 5,
      kernelArgs: 'quiet panic=10',
      update: { maxUnavailable: 2 },
    });
    expect(revisionName(again, artifact)).toBe(revisionName(then, artifact));
    const back = withRevisionSpec(then, revisionSpec(now.spec));
    expect(back.spec).not.toHaveProperty('network');
    expect(revisionName(back, artifact)).toBe(revisionName(now, artifact));
  });

  test('a restart asked for stays so when the request is taken away', () => {
    const asked = sampleMachine({}, { annotations: { 'linuxkit.dev/restart-requested-at': 'now' } });
    expect(restartToken(asked)).toBe('now');
    expect(restartToken({ ...sampleMachine(), status: { lastHandledRestart: 'now' } })).toBe('now');
    expect(restartToken(sampleMachine())).toBeUndefined();
  });
});
