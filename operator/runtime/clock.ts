/** Time as the runtime sees it, passed in so that tests decide how it passes. */
export interface Clock {
  /** Wall-clock time, milliseconds since the Unix epoch. Only for what others read. */
  now(): number;
  /** Milliseconds that never run backwards. For measuring and for deadlines. */
  monotonic(): number;
  /** Calls back once after `ms`; disposing of the timer cancels it. */
  timer(ms: number, callback: () => void): Disposable;
}

/** A number in [0, 1), as Math.random gives. */
export type Random = () => number;

/** setTimeout takes a signed 32-bit number and fires at once beyond it. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export const SYSTEM_CLOCK: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  timer(ms, callback) {
    const handle = setTimeout(callback, Math.min(Math.max(0, ms), LONGEST_TIMER_MS));
    return { [Symbol.dispose]: () => clearTimeout(handle) };
  },
};

/** Resolves after `ms`, or rejects with the signal's reason as soon as it aborts. */
export function sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(reasonOf(signal));
      return;
    }
    const onAbort = (): void => {
      timer[Symbol.dispose]();
      reject(reasonOf(signal));
    };
    const timer = clock.timer(ms, () => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    });
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

/** The error with which a signal was aborted. */
export function reasonOf(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error('aborted', { cause: signal.reason });
}

/** RFC 3339 with six fraction digits: the form of Kubernetes' MicroTime, which refuses others. */
export function microTime(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000Z');
}
