import { CONTROL_PORT } from './probes.ts';

/** How a machine fares, as its launcher tells it (`images/guest/qemu-launcher/control.go`). */
export interface DomainState {
  readonly state: 'starting' | 'incoming' | 'running' | 'failed' | 'migrated';
  /** Why it failed. */
  readonly message?: string;
  readonly migration?: { readonly status: string; readonly message?: string };
}

/** The launchers of running pods. */
export interface Launchers {
  /** Undefined while the launcher does not answer. */
  read(podIp: string): Promise<DomainState | undefined>;
  /** Sends a machine to the pod at `to`; `bandwidth` in bytes a second. Rejects when the launcher refuses. */
  migrate(
    podIp: string,
    to: string,
    options: { readonly bandwidth?: number; readonly block: boolean },
  ): Promise<void>;
  cancelMigration(podIp: string): Promise<void>;
}

const DEADLINE_MS = 2_000;
const ANSWER_LIMIT = 64 * 1024;
const STATES: readonly string[] = ['starting', 'incoming', 'running', 'failed', 'migrated'];

/** Over HTTP, in the pod network. */
export const HTTP_LAUNCHERS: Launchers = {
  async read(podIp) {
    try {
      const response = await fetch(`http://${podIp}:${CONTROL_PORT}/domain`, {
        signal: AbortSignal.timeout(DEADLINE_MS),
      });
      const text = await response.text();
      if (!response.ok || text.length > ANSWER_LIMIT) return undefined;
      const told = JSON.parse(text) as DomainState;
      return STATES.includes(told.state) ? told : undefined;
    } catch {
      // A pod whose launcher has not come up yet, or has gone: its state stands in the pod.
      return undefined;
    }
  },
  async migrate(podIp, to, { bandwidth, block }) {
    const query = new URLSearchParams({ to });
    if (bandwidth !== undefined) query.set('bandwidth', String(bandwidth));
    if (block) query.set('block', 'true');
    await post(podIp, `/migrate?${query.toString()}`);
  },
  async cancelMigration(podIp) {
    await post(podIp, '/migrate/cancel');
  },
};

async function post(podIp: string, path: string): Promise<void> {
  const response = await fetch(`http://${podIp}:${CONTROL_PORT}${path}`, {
    method: 'POST',
    signal: AbortSignal.timeout(DEADLINE_MS),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`the launcher refuses ${path}: ${text.slice(0, 500).trim()}`);
}

/** Where there are no launchers: whatever container runs holds a running machine. */
export const NO_LAUNCHERS: Launchers = {
  read: () => Promise.resolve({ state: 'running' }),
  migrate: () => Promise.reject(new Error('there is no launcher')),
  cancelMigration: () => Promise.reject(new Error('there is no launcher')),
};
