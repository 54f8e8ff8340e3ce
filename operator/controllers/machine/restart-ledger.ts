import type { MachineStatus } from '../../api/machine.ts';
import type { Stored } from '../../runtime/objects.ts';
import type { MachineObject } from '../image/objects.ts';
import { type RestartLimits, type Slots, slotsLeft, TRANSIT_LIMIT_MS, type Transit } from './slots.ts';

/**
 * What the leader knows of restarts over all LinuxKitMachines: what each has on its way up by its last
 * decision, and which wait for others. A new leader takes from their statuses what it has not decided itself.
 */
export class RestartLedger {
  readonly #limits: RestartLimits;
  readonly #machines: () => readonly Stored<MachineObject>[];
  /** By uid. Empty lists stand for machines that have been looked at. */
  readonly #transits = new Map<string, readonly Transit[]>();
  /** Uids and keys of those that wait, in the order in which they came. */
  readonly #waiting = new Map<string, string>();

  constructor(limits: RestartLimits, machines: () => readonly Stored<MachineObject>[]) {
    this.#limits = limits;
    this.#machines = machines;
  }

  /** What is left for a machine, given what the others have on their way. */
  slotsFor(machine: { readonly uid: string; readonly namespace: string }, now: number): Slots {
    const others: Transit[] = [];
    for (const object of this.#machines()) {
      const { uid } = object.metadata;
      if (uid !== machine.uid) others.push(...(this.#transits.get(uid) ?? transitsIn(object)));
    }
    return slotsLeft(this.#limits, others, machine.namespace, now);
  }

  /**
   * Keeps what was decided, and gives the keys of machines that may have waited for it. To be called
   * before anything is awaited after `slotsFor`: two decisions must not take the same slot.
   */
  record(
    machine: { readonly uid: string; readonly key: string },
    decided: { readonly transits: readonly Transit[]; readonly waitsForSlot: boolean },
  ): readonly string[] {
    const before = this.#transits.get(machine.uid)?.length ?? 0;
    this.#transits.set(machine.uid, decided.transits);
    if (!decided.waitsForSlot) this.#waiting.delete(machine.uid);
    else if (!this.#waiting.has(machine.uid)) this.#waiting.set(machine.uid, machine.key);
    return decided.transits.length < before ? this.#others(machine.uid) : [];
  }

  forget(uid: string): readonly string[] {
    this.#waiting.delete(uid);
    const had = (this.#transits.get(uid)?.length ?? 0) > 0;
    this.#transits.delete(uid);
    return had ? this.#others(uid) : [];
  }

  /** Machines on their way up, and whether machines wait for them: for metrics. */
  counts(now: number): { readonly underWay: number; readonly waiting: number } {
    const all = [...this.#transits.values()].flat();
    const present = all.filter(({ since }) => now - since < TRANSIT_LIMIT_MS);
    return { underWay: present.length, waiting: this.#waiting.size };
  }

  #others(uid: string): readonly string[] {
    return [...this.#waiting].filter(([other]) => other !== uid).map(([, key]) => key);
  }
}

function transitsIn({ metadata, status }: Stored<MachineObject>): readonly Transit[] {
  const { namespace = '' } = metadata;
  // Read as it comes: a status of another version says nothing here, and that is what it then counts for.
  const rows = (status as Partial<MachineStatus> | undefined)?.machines ?? [];
  return rows.flatMap(({ pendingSince, node }) => {
    const since = Date.parse(pendingSince ?? '');
    return Number.isNaN(since) ? [] : { namespace, node, since };
  });
}
