import { describe, expect, it } from 'vitest';
import type { Disk, Volume } from '../api/instance-spec.ts';
import type { Claim } from '../api/types.ts';
import { sampleInstance } from '../sample.ts';
import { guestDisks } from './guest-disks.ts';

function disksOf(disk: Omit<Disk, 'name'>, volume: Omit<Volume, 'name'>, claims: readonly Claim[] = []) {
  const vmi = sampleInstance({}, ({ spec }) => {
    spec.domain.devices.disks = [{ name: 'a', ...disk }];
    spec.volumes = [{ name: 'a', ...volume }];
  });
  return guestDisks(vmi, new Map(claims.map((claim) => [claim.metadata.name, claim])));
}

describe('buses', () => {
  it.each<[Omit<Disk, 'name'>, string[]]>([
    [{ disk: { bus: 'virtio' } }, ['virtio-blk-pci,drive=drive0']],
    [{ disk: { bus: 'scsi' } }, ['virtio-scsi-pci,id=scsi0', 'scsi-hd,drive=drive0,bus=scsi0.0']],
    [{ disk: {} }, ['ide-hd,drive=drive0,bus=ide.0']],
    [{ disk: { bus: 'usb' } }, ['qemu-xhci,id=usb0', 'usb-storage,drive=drive0,bus=usb0.0']],
    [{ cdrom: { bus: 'scsi' } }, ['virtio-scsi-pci,id=scsi0', 'scsi-cd,drive=drive0,bus=scsi0.0']],
    [{ cdrom: {} }, ['ide-cd,drive=drive0,bus=ide.0']],
    [{ disk: { bus: 'virtio' }, serial: 'S1' }, ['virtio-blk-pci,drive=drive0,serial=S1']],
  ])('%j', (disk, devices) => {
    const found = disksOf(disk, { emptyDisk: { capacity: '1Gi' } }).arguments;
    expect(found.filter((_, index) => found[index - 1] === '-device')).toEqual(devices);
  });
});

describe('volumes', () => {
  it('of a ConfigMap are a CD-ROM with its keys', () => {
    const disks = disksOf({ cdrom: { bus: 'scsi' } }, { configMap: { name: 'c', volumeLabel: 'cidata' } });
    expect(disks.isos).toEqual([
      { path: '/var/run/vm-disks/a.iso', label: 'cidata', folders: ['/var/run/vm-sources/a'] },
    ]);
    expect(disks.podVolumes).toContainEqual({ name: 'source-a', configMap: { name: 'c' } });
    expect(disks.arguments[3]).toBe(
      'file=/var/run/vm-disks/a.iso,if=none,id=drive0,format=raw,media=cdrom,readonly=on',
    );
  });

  it('of a Secret are labelled cfgdata unless it says otherwise', () => {
    const disks = disksOf({ disk: { bus: 'virtio' } }, { secret: { secretName: 's' } });
    expect(disks.isos[0]?.label).toBe('cfgdata');
    expect(disks.podVolumes).toContainEqual({ name: 'source-a', secret: { secretName: 's' } });
    expect(disks.arguments[1]).toContain('readonly=on');
  });

  it('of cloud-init take user data from a Secret, and bring meta-data', () => {
    const disks = disksOf({ cdrom: {} }, { cloudInitNoCloud: { secretRef: { name: 's' } } });
    expect(disks.isos).toEqual([
      {
        path: '/var/run/vm-disks/a.iso',
        label: 'cidata',
        folders: ['/var/run/vm-sources/a-given', '/var/run/vm-sources/a-user'],
        cloudInit: true,
      },
    ]);
    expect(disks.podVolumes).toContainEqual({ name: 'source-a-user', secret: { secretName: 's' } });
    expect(Object.values(disks.annotations)).toEqual(['{"instance-id":"vm.ns","local-hostname":"vm"}']);
  });

  it('of cloud-init may hold everything themselves', () => {
    const userDataBase64 = Buffer.from('hello').toString('base64');
    const { annotations, podVolumes } = disksOf(
      { cdrom: {} },
      { cloudInitNoCloud: { userDataBase64, networkData: 'net' } },
    );
    expect(Object.values(annotations).slice(1)).toEqual(['hello', 'net']);
    expect(JSON.stringify(podVolumes)).toContain(
      "metadata.annotations['standin.kubevirt.io/cloud-init-a-user-data']",
    );
  });

  it('that are empty are holes of their size, and have to be copied to another node', () => {
    const disks = disksOf({ disk: { bus: 'virtio' } }, { emptyDisk: { capacity: '64Mi' } });
    expect(disks.disks).toEqual([{ path: '/var/run/vm-disks/a.img', size: 64 * 2 ** 20 }]);
    expect(disks.local).toBe(true);
  });

  it.each([
    [false, [{ path: '/var/run/kubevirt-private/vmi-disks/a/disk.img', size: 2 ** 30 }]],
    [true, []],
  ])('on a claim are its disk.img (read-only: %s)', (readOnly, images) => {
    const claim: Claim = {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'data', namespace: 'ns' },
      status: { capacity: { storage: '1Gi' } },
    };
    const disks = disksOf(
      { disk: { bus: 'virtio' } },
      { persistentVolumeClaim: { claimName: 'data', readOnly } },
      [claim],
    );
    expect(disks.disks).toEqual(images);
    expect(disks.arguments[1]?.includes('readonly=on')).toBe(readOnly);
    expect(disks.local).toBe(false);
  });

  it('without a disk are left out', () => {
    const vmi = sampleInstance({}, ({ spec }) => {
      spec.volumes = [{ name: 'a', emptyDisk: { capacity: '1Gi' } }];
    });
    expect(guestDisks(vmi, new Map()).arguments).toEqual([]);
  });
});
