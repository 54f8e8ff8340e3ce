import type { MachineStatus } from '../../api/machine.ts';
import type { Boot } from './actions.ts';

/** How long machines took from the making of their instance to being ready. Each instance is told of once. */
export class BootTimes {
  /** By the machine's uid: instances that were ready before. */
  readonly #seen = new Map<string, Set<string>>();

  /** Seconds, of instances that have become ready since the status before. */
  observe(machineUid: string, before: MachineStatus | undefined, rows: readonly Boot[]): readonly number[] {
    const seen = this.#seen.get(machineUid) ?? new Set<string>();
    const ready = rows.filter((row) => row.readySince !== undefined);
    const fresh = ready.filter((row) => {
      // One that was ready when we began to look has been told of by whoever led before.
      const earlier = before?.machines?.find(({ name }) => name === row.name);
      return !seen.has(row.instance) && earlier !== undefined && !earlier.ready;
    });
    const present = new Set(rows.map(({ instance }) => instance));
    const kept = [...seen].filter((instance) => present.has(instance));
    this.#seen.set(machineUid, new Set([...kept, ...ready.map(({ instance }) => instance)]));
    return fresh.flatMap(({ created, readySince }) => {
      const seconds = (Date.parse(readySince ?? '') - Date.parse(created ?? '')) / 1000;
      return Number.isFinite(seconds) && seconds >= 0 ? seconds : [];
    });
  }

  forget(machineUid: string): void {
    this.#seen.delete(machineUid);
  }
}
