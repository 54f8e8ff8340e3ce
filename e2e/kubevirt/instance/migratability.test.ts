import { expect, it } from 'vitest';
import type { InstanceSpec } from '../api/instance-spec.ts';
import type { Claim } from '../api/types.ts';
import { sampleInstance, sampleSpec } from '../sample.ts';
import { migratability } from './migratability.ts';

const claim = (accessMode: string): Claim => ({
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { name: 'data', namespace: 'ns' },
  spec: { accessModes: [accessMode] },
});
const onClaim = (spec: InstanceSpec): void => {
  spec.volumes = [{ name: 'a', persistentVolumeClaim: { claimName: 'data' } }];
};

it.each<[string, (spec: InstanceSpec) => void, Claim | undefined, string | undefined, string | undefined]>([
  ['masquerade', () => undefined, undefined, undefined, undefined],
  [
    'bridge',
    (spec) => Object.assign(spec.domain.devices, { interfaces: [{ name: 'default', bridge: {} }] }),
    undefined,
    'InterfaceNotLiveMigratable',
    undefined,
  ],
  [
    'no interface given, which is a bridge',
    (spec) => delete spec.domain.devices.interfaces,
    undefined,
    'InterfaceNotLiveMigratable',
    undefined,
  ],
  [
    'no network',
    (spec) => Object.assign(spec.domain.devices, { interfaces: [], autoattachPodInterface: false }),
    undefined,
    undefined,
    undefined,
  ],
  [
    'a claim of one node',
    onClaim,
    claim('ReadWriteOnce'),
    'DisksNotLiveMigratable',
    'DisksNotLiveMigratable',
  ],
  ['a shared claim', onClaim, claim('ReadWriteMany'), undefined, undefined],
  [
    'an empty disk, which is copied',
    (spec) => Object.assign(spec, { volumes: [{ name: 'a', emptyDisk: { capacity: '1Gi' } }] }),
    undefined,
    undefined,
    undefined,
  ],
])('%s', (_name, change, known, machine, storage) => {
  const vmi = sampleInstance({}, (each) => Object.assign(each, { spec: sampleSpec(change) }));
  const found = migratability(vmi, new Map(known === undefined ? [] : [['data', known]]));
  expect([found.machine?.reason, found.storage?.reason]).toEqual([machine, storage]);
});
