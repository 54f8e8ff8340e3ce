import { describe, expect, it } from 'vitest';
import { sampleMachine, sampleSpec } from '../sample.ts';
import { sizedSpec, sizingConflicts } from './sizing.ts';
import { resolveSizing, type SizingObject } from './sizing-source.ts';

const instancetype = { cpu: { guest: 4 }, memory: { guest: '2Gi' } };
const bare = sampleSpec((spec) => delete spec.domain.memory);

describe('an instance type', () => {
  it.each([
    [undefined, { sockets: 4, cores: 1, threads: 1 }],
    ['preferCores', { sockets: 1, cores: 4, threads: 1 }],
    ['threads', { sockets: 1, cores: 1, threads: 4 }],
  ])('gives memory, and processors by the preferred topology %s', (preferredCPUTopology, cpu) => {
    const preference = preferredCPUTopology === undefined ? {} : { cpu: { preferredCPUTopology } };
    const { domain } = sizedSpec(bare, { instancetype, preference });
    expect(domain).toMatchObject({ cpu, memory: { guest: '2Gi' } });
  });

  it('is in conflict with what the template says of the same', () => {
    const { spec } = sampleMachine(({ spec: { template } }) =>
      Object.assign(template.spec.domain, { cpu: { cores: 1 }, resources: { requests: { memory: '1Gi' } } }),
    );
    expect(sizingConflicts(spec, { instancetype })).toEqual([
      'spec.template.spec.domain.cpu.cores',
      'spec.template.spec.domain.memory',
      'spec.template.spec.domain.resources.requests.memory',
    ]);
    expect(sizingConflicts(spec, {})).toEqual([]);
  });
});

it('a preference gives buses and grace period where the template says nothing', () => {
  const spec = sampleSpec((each) => {
    each.domain.devices.disks = [
      { name: 'a', disk: {} },
      { name: 'b', disk: { bus: 'sata' } },
      { name: 'c', cdrom: {} },
    ];
  });
  const preference = {
    devices: { preferredDiskBus: 'virtio', preferredCdromBus: 'scsi' },
    preferredTerminationGracePeriodSeconds: 7,
  };
  const sized = sizedSpec(spec, { preference });
  expect(sized.domain.devices.disks).toEqual([
    { name: 'a', disk: { bus: 'virtio' } },
    { name: 'b', disk: { bus: 'sata' } },
    { name: 'c', cdrom: { bus: 'scsi' } },
  ]);
  expect(sized.terminationGracePeriodSeconds).toBe(7);
});

describe('what a machine names', () => {
  const object = (kind: string, generation: number, guest: number, namespace?: string): SizingObject => ({
    apiVersion: 'instancetype.kubevirt.io/v1beta1',
    kind,
    metadata: { name: 'small', uid: 't', generation, ...(namespace === undefined ? {} : { namespace }) },
    spec: { cpu: { guest }, memory: { guest: '1Gi' } },
  });
  const vm = sampleMachine((each) => Object.assign(each.spec, { instancetype: { name: 'small' } }));

  it('is of the whole cluster unless it says otherwise', () => {
    const objects = [
      object('VirtualMachineInstancetype', 1, 1, 'ns'),
      object('VirtualMachineClusterInstancetype', 1, 2),
    ];
    expect(resolveSizing(vm, objects, []).sizing).toMatchObject({ instancetype: { cpu: { guest: 2 } } });
    const own = sampleMachine((each) =>
      Object.assign(each.spec, { instancetype: { name: 'small', kind: 'virtualmachineinstancetypes' } }),
    );
    expect(resolveSizing(own, objects, []).sizing).toMatchObject({ instancetype: { cpu: { guest: 1 } } });
  });

  it('stays as it was when it was first used', () => {
    const first = resolveSizing(vm, [object('VirtualMachineClusterInstancetype', 1, 2)], []);
    expect(first.instancetypeRef).toEqual({
      name: 'small',
      kind: 'VirtualMachineClusterInstancetype',
      controllerRevisionRef: { name: 'vm-small-t-1' },
    });
    const known = sampleMachine((each) => {
      Object.assign(each.spec, { instancetype: { name: 'small' } });
      if (first.instancetypeRef !== undefined) each.status = { instancetypeRef: first.instancetypeRef };
    });
    const later = resolveSizing(known, [object('VirtualMachineClusterInstancetype', 2, 8)], first.revisions);
    expect(later.sizing).toMatchObject({ instancetype: { cpu: { guest: 2 } } });
    expect(later.revisions).toEqual([]);
  });

  it('is told of when it is not there', () => {
    expect(resolveSizing(vm, [], []).sizing).toEqual({
      problem:
        'Failure to find instancetype: virtualmachineclusterinstancetypes.instancetype.kubevirt.io "small" not found',
    });
  });
});
