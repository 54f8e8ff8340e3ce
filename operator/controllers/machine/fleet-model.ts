import type { LinuxKitMachine } from '../../api/machine.ts';
import { sampleArtifact } from '../../kubevirt/sample.ts';
import type { VirtualMachine, VirtualMachineInstance } from '../../kubevirt/types.ts';
import type { Action, Decision } from './actions.ts';
import { decide } from './decide.ts';
import { readRevision, type StoredRevision } from './revision.ts';
import { FREE_SLOTS, type Slots } from './slots.ts';
import type { ImageView, ObjectView, Snapshot, VirtualMachineView } from './snapshot.ts';

/**
 * Test support: a small cluster in memory that does with virtual machines what KubeVirt does with them, one
 * step at a time, in an order that the test chooses. It plays no part beyond what `decide` reads.
 */

const MADE_AT = '2026-11-24T10:00:00Z';
const START = Date.parse('2026-11-24T12:00:00Z');

interface Guest {
  readonly uid: string;
  readonly template: VirtualMachine['spec']['template'];
  readonly created: string;
  phase: 'Pending' | 'Running';
  ready: boolean;
  /** RFC 3339. */
  readySince: string;
  ending: boolean;
  migrating: boolean;
}

interface Machine {
  readonly uid: string;
  vm: VirtualMachine;
  guest: Guest | undefined;
}

export type Artifacts = ReturnType<typeof sampleArtifact>;

const OPTIONS = { bootRegistryHost: '127.0.0.1:30500' };

export class FleetModel {
  readonly machines = new Map<string, Machine>();
  readonly revisions = new Map<string, StoredRevision>();
  readonly claims = new Map<string, ObjectView>();
  /** Digests of artifacts whose guests never become ready. */
  readonly broken = new Set<string>();
  artifact: Artifacts = sampleArtifact();
  spec: LinuxKitMachine;
  slots: Slots = FREE_SLOTS;
  /** Milliseconds since the Unix epoch. */
  now = START;
  readonly #ended = new Set<string>();
  #uids = 0;

  constructor(spec: LinuxKitMachine) {
    this.spec = spec;
  }

  /** What informers hold: virtual machines are frozen and replaced, so later changes leave it as it is. */
  copy(): Pick<Snapshot, 'virtualMachines' | 'instances'> {
    const all = [...this.machines.values()];
    return {
      virtualMachines: all.map((machine) => machine.vm),
      instances: all.flatMap((machine) =>
        machine.guest === undefined ? [] : [this.#instance(machine, machine.guest)],
      ),
    };
  }

  /** Of virtual machines in an old copy, those that we wrote since are read as written, as the controller does. */
  snapshot(copy = this.copy()): Snapshot {
    const image: ImageView = { metadata: { name: 'web' }, status: { artifact: this.artifact } };
    const present = new Set(copy.instances.map((vmi) => vmi.metadata.uid));
    for (const uid of this.#ended) if (!present.has(uid)) this.#ended.delete(uid);
    const revisions = [...this.revisions.values()];
    const claims = [...this.claims.values()];
    const rest = { revisions, claims, pods: [], configMaps: [], slots: this.slots };
    const virtualMachines = this.#newest(copy.virtualMachines);
    return { machine: this.spec, image, ...copy, virtualMachines, ...rest, ended: new Set(this.#ended) };
  }

  decide(snapshot: Snapshot = this.snapshot()): Decision {
    return decide(snapshot, OPTIONS, new Date(this.now));
  }

  /** Decides, does it, and writes the status down. An action after `upTo` fails: the pass ends there, nothing is written. */
  pass(snapshot: Snapshot = this.snapshot(), upTo = Number.POSITIVE_INFINITY): Decision {
    const decision = this.decide(snapshot);
    for (const action of decision.actions.slice(0, upTo)) this.apply(action);
    if (decision.actions.length <= upTo) this.spec = { ...this.spec, status: decision.status };
    return decision;
  }

  /** Another process leads: what it has not read it does not know. */
  changeLeader(): void {
    this.#ended.clear();
  }

  /** Lets everything happen that happens by itself, deciding after each step, until nothing is left to do. */
  settle(limit = 500): readonly Decision[] {
    const decisions: Decision[] = [];
    let idle = 0;
    for (let step = 0; step < limit; step += 1) {
      const decision = this.pass();
      decisions.push(decision);
      const moved = this.names.filter((name) => this.advance(name));
      idle = decision.actions.length === 0 && moved.length === 0 ? idle + 1 : 0;
      // What was only written down is acted upon the next time.
      if (idle === 2) return decisions;
    }
    throw new Error(`not settled after ${limit} steps`);
  }

  /** Changes the spec, as its author does. */
  respecify(spec: Partial<LinuxKitMachine['spec']>): void {
    this.spec = { ...this.spec, spec: { ...this.spec.spec, ...spec } };
  }

  annotate(annotations: Readonly<Record<string, string>>): void {
    this.spec = { ...this.spec, metadata: { ...this.spec.metadata, annotations } };
  }

  apply(action: Action): void {
    switch (action.kind) {
      case 'createRevision': {
        const { name } = action.revision.metadata;
        const metadata = { ...action.revision.metadata, uid: this.#uid(), creationTimestamp: MADE_AT };
        const read = readRevision({ ...action.revision, metadata });
        if (read === undefined) throw new Error(`the revision ${name} cannot be read`);
        if (!this.revisions.has(name)) this.revisions.set(name, read);
        break;
      }
      case 'numberRevision': {
        const known = this.revisions.get(action.name);
        if (known !== undefined) this.revisions.set(action.name, { ...known, number: action.number });
        break;
      }
      case 'deleteRevision':
        this.revisions.delete(action.name);
        break;
      case 'applyMachine': {
        const { name } = action.vm.metadata;
        const known = this.machines.get(name);
        if (known === undefined) {
          const uid = this.#uid();
          const vm = this.#written(action.vm, uid);
          this.machines.set(name, { uid, vm, guest: undefined });
        } else if (action.uid === known.uid) {
          known.vm = this.#written(action.vm, known.uid);
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
      case 'createClaim': {
        const { metadata } = action.claim;
        this.claims.set(metadata.name, { metadata: { ...metadata, uid: this.#uid() } });
        break;
      }
      case 'ownClaim': {
        const known = this.claims.get(action.name);
        const { ownerReferences } = action;
        if (known !== undefined)
          this.claims.set(action.name, { metadata: { ...known.metadata, ownerReferences } });
        break;
      }
      case 'deleteClaim':
        this.claims.delete(action.name);
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
      if (machine.vm.spec.runStrategy === 'Halted') return false;
      machine.guest = {
        uid: this.#uid(),
        template: machine.vm.spec.template,
        created: MADE_AT,
        phase: 'Pending',
        ready: false,
        readySince: MADE_AT,
        ending: false,
        migrating: false,
      };
      return true;
    }
    if (guest.ending || machine.vm.spec.runStrategy === 'Halted') {
      machine.guest = undefined;
      return true;
    }
    if (guest.phase === 'Pending') guest.phase = 'Running';
    else if (!guest.ready && !this.broken.has(digestOf(guest))) {
      guest.ready = true;
      guest.readySince = new Date(this.now).toISOString();
    } else return false;
    return true;
  }

  /** The guest dies; KubeVirt removes its instance and makes another. */
  crash(name: string): void {
    const guest = this.machines.get(name)?.guest;
    if (guest !== undefined) guest.ending = true;
  }

  /** A live migration begins, or ends. The guest serves all the while. */
  migrate(name: string, underWay: boolean): void {
    const guest = this.machines.get(name)?.guest;
    if (guest !== undefined) guest.migrating = underWay && guest.ready;
  }

  /** Somebody annotates the virtual machine. */
  annotateMachine(name: string, key: string, value: string): void {
    const machine = this.machines.get(name);
    if (machine === undefined) return;
    const { metadata } = machine.vm;
    const annotations = { ...metadata.annotations, [key]: value };
    machine.vm = frozen({ ...machine.vm, metadata: { ...metadata, annotations } });
  }

  serves(name: string): boolean {
    const guest = this.machines.get(name)?.guest;
    return guest?.ready === true && !guest.ending;
  }

  digest(name: string): string | undefined {
    const guest = this.machines.get(name)?.guest;
    return guest === undefined ? undefined : digestOf(guest);
  }

  /** Digest of the template: what the next guest boots. */
  laid(name: string): string | undefined {
    return this.machines.get(name)?.vm.spec.template.metadata?.annotations?.['linuxkit.dev/artifact'];
  }

  get digests(): readonly (string | undefined)[] {
    return this.names.map((name) => this.digest(name));
  }

  /** `STATUS REASON: MESSAGE` of a condition. */
  condition(type: string): string | undefined {
    const found = this.spec.status?.conditions?.find((each) => each.type === type);
    return found === undefined ? undefined : `${found.status} ${found.reason}: ${found.message}`;
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

  #written(vm: VirtualMachine, uid: string): VirtualMachine {
    this.#uids += 1;
    const annotations = {
      ...this.machines.get(vm.metadata.name)?.vm.metadata.annotations,
      ...vm.metadata.annotations,
    };
    const metadata = { ...vm.metadata, annotations, uid, resourceVersion: String(this.#uids) };
    return frozen({ ...vm, metadata });
  }

  #newest(copied: readonly VirtualMachineView[]): readonly VirtualMachineView[] {
    const names = new Set([...copied.map((vm) => vm.metadata.name), ...this.machines.keys()]);
    return [...names].flatMap((name) => {
      const old = copied.find((vm) => vm.metadata.name === name);
      const written = this.machines.get(name)?.vm;
      const newer =
        Number(written?.metadata.resourceVersion ?? 0) > Number(old?.metadata.resourceVersion ?? -1);
      return (newer ? written : old) ?? [];
    });
  }

  #instance({ vm, uid }: Machine, guest: Guest): VirtualMachineInstance {
    const { metadata, spec } = guest.template;
    return {
      apiVersion: 'kubevirt.io/v1',
      kind: 'VirtualMachineInstance',
      metadata: {
        name: vm.metadata.name,
        uid: guest.uid,
        creationTimestamp: guest.created,
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
        ...(guest.ending ? { deletionTimestamp: MADE_AT } : {}),
      },
      spec,
      status: {
        phase: guest.phase,
        ...(guest.migrating ? { migrationState: {} } : {}),
        conditions: [
          { type: 'Ready', status: guest.ready ? 'True' : 'False', lastTransitionTime: guest.readySince },
        ],
      },
    };
  }
}

/** Whoever writes into what it was given to read fails for it. */
function frozen<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const member of Object.values(value)) frozen(member);
  }
  return value;
}

function digestOf(guest: Guest): string {
  return guest.template.metadata?.annotations?.['linuxkit.dev/artifact'] ?? '';
}
