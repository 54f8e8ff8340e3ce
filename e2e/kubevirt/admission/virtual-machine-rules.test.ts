import { describe, expect, it } from 'vitest';
import type { InstanceSpec } from '../api/instance-spec.ts';
import { sampleInstance, sampleMachine, sampleSpec } from '../sample.ts';
import { instanceCreateRefusals, instanceUpdateRefusals } from './instance-rules.ts';
import { refusals } from './virtual-machine-rules.ts';

const container = (spec: InstanceSpec) => spec.domain.firmware?.kernelBoot?.container ?? {};
const nic = (spec: InstanceSpec) => spec.domain.devices.interfaces?.[0] ?? { name: '' };

function withDisk(disk: object, volume: object): (spec: InstanceSpec) => void {
  return (spec) => {
    spec.domain.devices.disks = [{ name: 'a', ...disk }];
    spec.volumes = [{ name: 'a', ...volume }];
  };
}

describe('what KubeVirt accepts', () => {
  it.each<[string, (spec: InstanceSpec) => void]>([
    ['a whole machine', () => undefined],
    ['a trailing slash', (spec) => Object.assign(container(spec), { kernelPath: '/boot/kernel/' })],
    ['an initrd alone', (spec) => delete container(spec).kernelPath],
    [
      'equal base names',
      (spec) => Object.assign(container(spec), { kernelPath: '/a/x', initrdPath: '/b/x' }),
    ],
    ['an unparsable reference', (spec) => Object.assign(container(spec), { image: 'NOT a reference' })],
    ['no memory', (spec) => delete spec.domain.memory],
    ['5,000 bytes of kernel arguments', (spec) => kernelArgs(spec, 'a'.repeat(5000))],
    ['a negative grace period', (spec) => Object.assign(spec, { terminationGracePeriodSeconds: -1 })],
    [
      'a volume without a disk',
      (spec) => Object.assign(spec, { volumes: [{ name: 'x', emptyDisk: { capacity: '1Gi' } }] }),
    ],
    ['a missing DataVolume', withDisk({ disk: { bus: 'virtio' } }, { dataVolume: { name: 'nowhere' } })],
    ['EFI without secure boot', (spec) => bootloader(spec, { efi: { secureBoot: false } })],
    [
      'secure boot with SMM',
      (spec) => {
        bootloader(spec, { efi: {} });
        spec.domain.features = { smm: {} };
      },
    ],
  ])('%s', (_name, change) => {
    expect(refusals(sampleMachine((vm) => change(vm.spec.template.spec)))).toEqual([]);
  });
});

describe('what KubeVirt refuses', () => {
  it.each<[string, (spec: InstanceSpec) => void, string, string]>([
    [
      'no image',
      (spec) => delete container(spec).image,
      'domain.firmware.kernelBoot.container.image',
      'must be defined with an image',
    ],
    [
      'no paths',
      (spec) => Object.assign(container(spec), { kernelPath: '', initrdPath: '' }),
      'domain.firmware.kernelBoot.container',
      'at least one of',
    ],
    [
      'an unclean path',
      (spec) => Object.assign(container(spec), { kernelPath: '/boot/../kernel' }),
      'domain.firmware.kernelBoot.container.kernelPath',
      'absolute path',
    ],
    [
      'a relative path',
      (spec) => Object.assign(container(spec), { initrdPath: 'boot/initrd' }),
      'domain.firmware.kernelBoot.container.initrdPath',
      'absolute path',
    ],
    [
      'the root as path',
      (spec) => Object.assign(container(spec), { kernelPath: '/' }),
      'domain.firmware.kernelBoot.container.kernelPath',
      'must not point to root',
    ],
    [
      'an unknown pull policy',
      (spec) => Object.assign(container(spec), { imagePullPolicy: 'Sometimes' }),
      'domain.firmware.kernelBoot.container.imagePullPolicy',
      'is not one of',
    ],
    [
      'kernel arguments without a kernel',
      (spec) => delete spec.domain.firmware?.kernelBoot?.container,
      'domain.firmware.kernelBoot.kernelArgs',
      'without an external kernel',
    ],
    [
      'secure boot, the default of EFI, without SMM',
      (spec) => bootloader(spec, { efi: {} }),
      'domain.firmware.bootloader.efi.secureBoot',
      'SMM is disabled',
    ],
    [
      'two bindings',
      (spec) => Object.assign(nic(spec), { bridge: {} }),
      'domain.devices.interfaces[0]',
      'exactly one binding',
    ],
    [
      'no binding',
      (spec) => delete nic(spec).masquerade,
      'domain.devices.interfaces[0]',
      'exactly one binding',
    ],
    [
      'an interface without a network',
      (spec) => Object.assign(nic(spec), { name: 'x' }),
      'domain.devices.interfaces[0].name',
      "'x' not found",
    ],
    [
      'a probe of two kinds',
      (spec) => Object.assign(spec, { readinessProbe: { tcpSocket: { port: 1 }, httpGet: { port: 1 } } }),
      'readinessProbe',
      'exactly one probe type',
    ],
    [
      'a probe without the pod network',
      (spec) =>
        Object.assign(spec, {
          networks: [{ name: 'default', multus: {} }],
          livenessProbe: { tcpSocket: { port: 1 } },
        }),
      'livenessProbe',
      'Pod Network',
    ],
    [
      'a disk without a volume',
      (spec) => Object.assign(spec.domain.devices, { disks: [{ name: 'x', disk: {} }] }),
      'domain.devices.disks[0].name',
      "'x' not found",
    ],
    ['a volume without a source', withDisk({ disk: {} }, {}), 'volumes[0]', 'exactly one source'],
    [
      'a volume of two sources',
      withDisk({ disk: {} }, { emptyDisk: {}, secret: {} }),
      'volumes[0]',
      'exactly one source',
    ],
    [
      'an unknown bus',
      withDisk({ disk: { bus: 'floppy' } }, { emptyDisk: {} }),
      'domain.devices.disks[0].bus',
      'unrecognized bus',
    ],
    [
      'a CD-ROM on virtio',
      withDisk({ cdrom: { bus: 'virtio' } }, { secret: {} }),
      'domain.devices.disks[0].cdrom.bus',
      'invalid for CD-ROM',
    ],
    [
      'SATA on arm64',
      (spec) => {
        withDisk({ cdrom: { bus: 'sata' } }, { secret: {} })(spec);
        spec.architecture = 'arm64';
      },
      'domain.devices.disks[0].bus',
      'please use virtio or scsi',
    ],
    [
      'long inline user data',
      withDisk({ disk: {} }, { cloudInitNoCloud: { userData: 'x'.repeat(2049) } }),
      'volumes[0].cloudInitNoCloud.userData',
      '2048 byte limit',
    ],
    [
      'cloud-init without data',
      withDisk({ disk: {} }, { cloudInitNoCloud: {} }),
      'volumes[0].cloudInitNoCloud',
      'at least one userdatasource',
    ],
    [
      'another machine type',
      (spec) => Object.assign(spec.domain, { machine: { type: 'pc-i440fx' } }),
      'domain.machine.type',
      'not supported',
    ],
    [
      'a host name of two labels',
      (spec) => Object.assign(spec, { hostname: 'a.b' }),
      'hostname',
      'DNS_LABEL',
    ],
    [
      'an unknown eviction strategy',
      (spec) => Object.assign(spec, { evictionStrategy: 'Maybe' }),
      'evictionStrategy',
      'unrecognized option',
    ],
  ])('%s', (_name, change, field, message) => {
    const [cause, ...more] = refusals(sampleMachine((vm) => change(vm.spec.template.spec)));
    expect(more).toEqual([]);
    expect(cause?.field).toBe(`spec.template.spec.${field}`);
    expect(cause?.message).toContain(message);
  });

  it.each([
    [{ running: true }, 'mutually exclusive'],
    [{ runStrategy: undefined }, 'One of Running or RunStrategy'],
    [{ runStrategy: 'Often' }, 'Invalid RunStrategy (Often)'],
  ])('run strategy: %j', (change, message) => {
    expect(refusals(sampleMachine((vm) => Object.assign(vm.spec, change)))[0]?.message).toContain(message);
  });

  it('a size beside an instance type, and a type that is not there', () => {
    const vm = sampleMachine((each) => Object.assign(each.spec, { instancetype: { name: 'small' } }));
    const sizing = { instancetype: { cpu: { guest: 1 }, memory: { guest: '1Gi' } } };
    expect(refusals(vm, sizing).map(({ message }) => message)).toEqual([
      'VM field(s) spec.template.spec.domain.memory conflicts with selected instance type',
    ]);
    expect(refusals(vm, { problem: 'no such type' })[0]?.message).toBe('no such type');
  });
});

describe('instances', () => {
  it('without memory are refused, though their machine is not', () => {
    expect(instanceCreateRefusals(sampleSpec((spec) => delete spec.domain.memory))[0]?.message).toContain(
      'no memory requested',
    );
  });

  it('are changed by nobody', () => {
    const before = sampleInstance();
    const after = sampleInstance({}, (vmi) => Object.assign(vmi.spec, { terminationGracePeriodSeconds: 1 }));
    expect(instanceUpdateRefusals(before, after)).toEqual([
      { field: 'spec', message: 'update of VMI object is restricted' },
    ]);
    expect(instanceUpdateRefusals(before, sampleInstance({ phase: 'Running' }))).toEqual([]);
  });
});

function kernelArgs(spec: InstanceSpec, text: string): void {
  Object.assign(spec.domain.firmware?.kernelBoot ?? {}, { kernelArgs: text });
}

function bootloader(spec: InstanceSpec, value: object): void {
  Object.assign(spec.domain.firmware ?? {}, { bootloader: value });
}
