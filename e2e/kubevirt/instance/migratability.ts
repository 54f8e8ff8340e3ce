import type { Claim, VirtualMachineInstance } from '../api/types.ts';
import { podInterface } from '../launcher/guest-network.ts';

interface Obstacle {
  readonly reason: string;
  readonly message: string;
}

/** What keeps an instance from being migrated live; undefined where nothing does. */
export interface Migratability {
  readonly machine: Obstacle | undefined;
  readonly storage: Obstacle | undefined;
}

export function migratability(
  { spec }: VirtualMachineInstance,
  claims: ReadonlyMap<string, Claim>,
): Migratability {
  const storage = storageObstacle(spec.volumes ?? [], claims);
  const nic = podInterface(spec);
  const bound = nic !== undefined && nic.masquerade === undefined && nic.passtBinding === undefined;
  if (!bound) return { storage, machine: storage };
  return {
    storage,
    machine: {
      reason: 'InterfaceNotLiveMigratable',
      message:
        'cannot migrate VMI which does not use masquerade, bridge with kubevirt.io/allow-pod-bridge-network-live-migration VM annotation or a migratable plugin to connect to the pod network',
    },
  };
}

function storageObstacle(
  volumes: readonly {
    readonly persistentVolumeClaim?: { readonly claimName: string };
    readonly dataVolume?: { readonly name: string };
  }[],
  claims: ReadonlyMap<string, Claim>,
): Obstacle | undefined {
  for (const volume of volumes) {
    const name = volume.persistentVolumeClaim?.claimName ?? volume.dataVolume?.name;
    if (name === undefined || claims.get(name)?.spec?.accessModes?.includes('ReadWriteMany') === true)
      continue;
    return {
      reason: 'DisksNotLiveMigratable',
      message: `cannot migrate VMI: PVC ${name} is not shared, live migration requires that all PVCs must be shared (using ReadWriteMany access mode)`,
    };
  }
  return undefined;
}
