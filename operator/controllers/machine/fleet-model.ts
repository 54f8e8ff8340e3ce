import type { LinuxKitMachine } from '../../api/machine.ts';
import { sampleArtifact } from '../../kubevirt/sample.ts';
import type { VirtualMachine, VirtualMachineInstance } from '../../kubevirt/types.ts';
import type { Action } from './actions.ts';
import type { ImageView, Snapshot } from './snapshot.ts';

/**
 * Test support: a small cluster in memory that does with virtual machines what KubeVirt does with them, one
 * step at a time, in an order that the test chooses. It plays no part beyond what `decide` reads.
 */

const READY_AT = '2026-11-24T10:00:00Z';

interface Guest {
  readonly uid: string;
  readonly template: VirtualMachine['spec']['template'];
  phase: 'Pending' | 'Running';
  ready: boolean;
  ending: boolean;
  migrating: boolean;
}

interface Machine {
  readonly uid: string;
  vm: VirtualMachine;
  guest: Guest | undefined;
}

export type Artifacts = ReturnType<typeof sampleArtifact>;

export class FleetModel {
  readonly machines = new Map<string, Machine>();
  readonly broken = new Set<string>();
  artifact: Artifacts = sampleArtifact();
  spec: LinuxKitMachine;
  readonly #ended = new Set<string>();
  #uids = 0;

  constructor(spec: LinuxKitMachine) {
    this.spec = spec;
  }

  /** What informers hold: a copy, which later changes leave as it is. */
  copy(): Pick<Snapshot, 'virtualMachines' | 'instances'> {
    const all = [...this.machines.values()];
    return structuredClone({
      virtualMachines: all.map((machine) => machine.vm),
      instances: all.flatMap((machine) =>
        machine.guest === undefined ? [] : [this.#instance(machine, machine.guest)],
      ),
    });
  }

  snapshot(copy = this.copy()): Snapshot {
    const image: ImageView = { metadata: { name: 'web' }, status: { artifact: this.artifact } };
    const present = new Set(copy.instances.map((vmi) => vmi.metadata.uid));
    for (const uid of this.#ended) if (!present.has(uid)) this.#ended.delete(uid);
    return { machine: this.spec, image, ...copy, pods: [], configMaps: [], ended: new Set(this.#ended) };
  }

  apply(action: Action): void {
    switch (action.kind) {
      case 'applyMachine': {
        const { name } = action.vm.metadata;
        const known = this.machines.get(name);
        if (known === undefined) {
          const uid = this.#uid();
          const vm = { ...action.vm, metadata: { ...action.vm.metadata, uid } };
          this.machines.set(name, { uid, vm, guest: undefined });
        } else if (action.uid === undefined || action.uid === known.uid) {
          known.vm = { ...action.vm, metadata: { ...action.vm.metadata, uid: known.uid } };
        }
        break;
      }
      case 'deleteInstance':
      case 'restartInstance': {
        this.#ended.add(action.uid);
        const guest = this.machines.get(action.name)?.guest;
        if (guest?.uid === action.uid) guest.ending = true;
        break;
      }
      case 'deleteMachine':
        if (this.machines.get(action.name)?.uid === action.uid) this.machines.delete(action.name);
        break;
      case 'createConfigMap':
      case 'deleteConfigMap':
        break;
    }
  }

  /** One step of one machine towards where KubeVirt takes it. False if there is none. */
  advance(name: string): boolean {
    const machine = this.machines.get(name);
    if (machine === undefined) return false;
    const { guest } = machine;
    if (guest === undefined) {
      machine.guest = {
        uid: this.#uid(),
        template: machine.vm.spec.template,
        phase: 'Pending',
        ready: false,
        ending: false,
        migrating: false,
      };
      return true;
    }
    if (guest.ending) {
      machine.guest = undefined;
      return true;
    }
    if (this.broken.has(digestOf(guest))) return false;
    if (guest.phase === 'Pending') guest.phase = 'Running';
    else if (!guest.ready) guest.ready = true;
    else return false;
    return true;
  }

  /** The guest dies; under Always, KubeVirt removes its instance and makes another. */
  crash(name: string): void {
    const guest = this.machines.get(name)?.guest;
    if (guest !== undefined) guest.ending = true;
  }

  /** A live migration begins, or ends. The guest serves all the while. */
  migrate(name: string, underWay: boolean): void {
    const guest = this.machines.get(name)?.guest;
    if (guest !== undefined) guest.migrating = underWay && guest.ready;
  }

  serves(name: string): boolean {
    const guest = this.machines.get(name)?.guest;
    return guest?.ready === true && !guest.ending;
  }

  digest(name: string): string | undefined {
    const guest = this.machines.get(name)?.guest;
    return guest === undefined ? undefined : digestOf(guest);
  }

  get names(): readonly string[] {
    return Array.from({ length: this.spec.spec.replicas }, (_, ordinal) => `web-${ordinal}`);
  }

  get down(): number {
    return this.names.filter((name) => !this.serves(name)).length;
  }

  #uid(): string {
    this.#uids += 1;
    return `uid-${this.#uids}`;
  }

  #instance({ vm, uid }: Machine, guest: Guest): VirtualMachineInstance {
    const { metadata, spec } = guest.template;
    return {
      apiVersion: 'kubevirt.io/v1',
      kind: 'VirtualMachineInstance',
      metadata: {
        name: vm.metadata.name,
        uid: guest.uid,
        ownerReferences: [
          {
            apiVersion: 'kubevirt.io/v1',
            kind: 'VirtualMachine',
            name: vm.metadata.name,
            uid,
            controller: true,
          },
        ],
        ...(metadata?.annotations === undefined ? {} : { annotations: metadata.annotations }),
        ...(guest.ending ? { deletionTimestamp: READY_AT } : {}),
      },
      spec,
      status: {
        phase: guest.phase,
        ...(guest.migrating ? { migrationState: {} } : {}),
        conditions: [{ type: 'Ready', status: guest.ready ? 'True' : 'False', lastTransitionTime: READY_AT }],
      },
    };
  }
}

function digestOf(guest: Guest): string {
  return guest.template.metadata?.annotations?.['linuxkit.dev/artifact'] ?? '';
}
