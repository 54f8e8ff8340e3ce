import { setTimeout as delay } from 'node:timers/promises';
import { Failure } from '../progress/failure.ts';

/** Something that can end while others wait for it. */
export interface Watched {
  /** Throws the failure that tells why it ended, if it has. */
  assertRunning(): void;
}

/** How long to wait, and whose end ends the waiting. */
export interface WaitOptions {
  readonly signal: AbortSignal;
  /** Milliseconds. */
  readonly timeout: number;
  readonly watched?: readonly Watched[];
  /** Milliseconds between probes; default 50. */
  readonly interval?: number;
  readonly advice?: string;
}

/**
 * Probes until the probe returns something other than undefined or false. What the
 * probe throws counts as "not yet" and is told when time runs out.
 * @throws Failure `NotReadyInTime`, or the failure of a watched component that ended.
 */
export async function waitFor<T>(
  what: string,
  probe: () => Promise<T | undefined | false> | T | undefined | false,
  options: WaitOptions,
): Promise<T> {
  const deadline = performance.now() + options.timeout;
  let last: unknown;
  for (;;) {
    options.signal.throwIfAborted();
    for (const each of options.watched ?? []) each.assertRunning();
    try {
      const value = await probe();
      if (value !== undefined && value !== false) return value;
    } catch (error) {
      last = error;
    }
    if (performance.now() > deadline) {
      throw new Failure('NotReadyInTime', `${what}: not within ${options.timeout / 1000} s`, {
        cause: last,
        ...(options.advice === undefined ? {} : { advice: options.advice }),
      });
    }
    // Aborted, the delay throws an error of its own; the signal's reason says more.
    await delay(options.interval ?? 50, undefined, { signal: options.signal }).catch(() => {
      options.signal.throwIfAborted();
    });
  }
}
