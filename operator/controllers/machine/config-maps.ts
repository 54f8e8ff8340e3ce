import { metadataConfigMap } from '../../kubevirt/guest-metadata.ts';
import type { InstanceSpec } from '../../kubevirt/types.ts';
import type { Action } from './actions.ts';
import type { Course } from './course.ts';
import { machineAt } from './revision.ts';
import type { Snapshot } from './snapshot.ts';

/**
 * Removes ConfigMaps that nothing refers to any more: no template, no instance, and no revision that
 * machines are on their way to. One that is gone is made again when an earlier revision is gone back to.
 */
export function collectConfigMaps(snapshot: Snapshot, { target, base }: Course): readonly Action[] {
  const { machine, virtualMachines, instances, configMaps } = snapshot;
  // What is wanted is unknown: then nothing is in the way for sure.
  if (target === undefined) return [];
  const used = new Set<string>();
  const specs: (InstanceSpec | undefined)[] = [
    ...virtualMachines.map((vm) => vm.spec?.template.spec),
    ...instances.map((vmi) => vmi.spec),
  ];
  for (const volume of specs.flatMap((spec) => spec?.volumes ?? [])) {
    if (volume.configMap !== undefined) used.add(volume.configMap.name);
  }
  for (const revision of [target, base]) {
    if (revision === undefined) continue;
    for (let ordinal = 0; ordinal < machine.spec.replicas; ordinal += 1) {
      const wanted = metadataConfigMap(machineAt(machine, revision), ordinal);
      if (wanted !== undefined) used.add(wanted.metadata.name);
    }
  }
  return configMaps
    .filter(({ metadata }) => !used.has(metadata.name))
    .map(({ metadata }) => ({ kind: 'deleteConfigMap', name: metadata.name, uid: metadata.uid ?? '' }));
}
