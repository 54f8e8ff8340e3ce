import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { kubectl, testCluster, within } from '../path/fixtures.ts';
import { findCondition } from './api/conditions.ts';
import { SmallMachines } from './small-machine.ts';

const NAMESPACE = 'stand-in-disks';
let machines: SmallMachines;

beforeAll(async () => {
  machines = await SmallMachines.start(NAMESPACE);
});

afterAll(async () => await machines[Symbol.asyncDispose]());

it('sizes and disks come from an instance type, a Secret, a ConfigMap, a claim and nothing', async () => {
  const folder = join((await testCluster()).dir, 'volumes', NAMESPACE);
  await mkdir(folder, { recursive: true });
  await chmod(folder, 0o777);
  const name = `${NAMESPACE}-data`;
  await machines.apply(
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'user', namespace: NAMESPACE },
      stringData: { userdata: '{"a":1}' },
    },
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'map', namespace: NAMESPACE },
      data: { greeting: 'hello' },
    },
    {
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name },
      spec: {
        capacity: { storage: '8Mi' },
        accessModes: ['ReadWriteOnce'],
        storageClassName: name,
        hostPath: { path: folder },
      },
    },
    {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'data', namespace: NAMESPACE },
      spec: {
        accessModes: ['ReadWriteOnce'],
        storageClassName: name,
        resources: { requests: { storage: '8Mi' } },
      },
    },
    {
      apiVersion: 'instancetype.kubevirt.io/v1beta1',
      kind: 'VirtualMachineInstancetype',
      metadata: { name: 'small', namespace: NAMESPACE },
      spec: { cpu: { guest: 2 }, memory: { guest: '160Mi' } },
    },
  );
  await machines.apply(
    machines.machine('disks', '', (spec, vm) => {
      delete spec.domain.memory;
      vm.spec.instancetype = { name: 'small', kind: 'VirtualMachineInstancetype' };
      spec.domain.devices.disks = [
        { name: 'user', cdrom: { bus: 'scsi' } },
        { name: 'map', cdrom: { bus: 'scsi' } },
        { name: 'empty', disk: { bus: 'virtio' } },
        { name: 'data', disk: { bus: 'scsi' } },
      ];
      spec.volumes = [
        { name: 'user', cloudInitNoCloud: { secretRef: { name: 'user' } } },
        { name: 'map', configMap: { name: 'map' } },
        { name: 'empty', emptyDisk: { capacity: '4Mi' } },
        { name: 'data', persistentVolumeClaim: { claimName: 'data' } },
      ];
    }),
  );
  const first = await machines.console('disks', /guest: up/);
  expect(first).toContain('guest: /dev/sr0 user-data: {"a":1}');
  expect(first).toMatch(/guest: \/dev\/sr1 greeting: hello/);
  expect(first).toContain('guest: disk /dev/vda: boot 1, 8192 sectors');
  expect(first).toContain('guest: disk /dev/sda: boot 1, 16384 sectors');
  const vmi = await machines.inPhase('disks', 'Running');
  expect(vmi.status).toMatchObject({
    currentCPUTopology: { cores: 1, sockets: 2, threads: 1 },
    memory: { guestAtBoot: '160Mi' },
  });
  expect(findCondition(vmi.status?.conditions, 'LiveMigratable')).toMatchObject({
    reason: 'DisksNotLiveMigratable',
  });
  await machines.end('disks');
  await machines.inPhase('disks', 'Running', [vmi.metadata.uid]);
  const second = await machines.console('disks', /guest: up/);
  expect(second).toContain('guest: disk /dev/vda: boot 1,');
  expect(second).toContain('guest: disk /dev/sda: boot 2,');
  await machines.remove('disks');
  await kubectl.run(['delete', 'persistentvolume', name, '--wait=false'], within(20));
});
