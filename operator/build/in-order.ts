/** What is to be done; given up when `signal` says so. */
export type Task<T> = (signal: AbortSignal) => Promise<T>;

/**
 * Runs tasks side by side, at most `parallel` at once, and gives their results in the tasks' order. When
 * some fail, throws what the first of them in that order threw, so that what a person is told depends on
 * the tasks and not on which of them was answered sooner. Tasks behind one that failed are cancelled; those
 * before it are waited for.
 */
export async function inOrder<T>(
  tasks: readonly Task<T>[],
  { parallel, signal }: { readonly parallel: number; readonly signal: AbortSignal },
): Promise<T[]> {
  const results: T[] = [];
  const running = new Map<number, AbortController>();
  const entries = tasks.entries();
  let failed = Number.POSITIVE_INFINITY;
  let failure: unknown;
  const worker = async (): Promise<void> => {
    for (const [index, task] of entries) {
      if (failed !== Number.POSITIVE_INFINITY) return;
      const stop = new AbortController();
      running.set(index, stop);
      try {
        results[index] = await task(AbortSignal.any([signal, stop.signal]));
      } catch (error) {
        if (index > failed) continue;
        failed = index;
        failure = error;
        for (const [other, later] of running) if (other > index) later.abort();
      } finally {
        running.delete(index);
      }
    }
  };
  await Promise.all(Array.from({ length: parallel }, worker));
  if (failed !== Number.POSITIVE_INFINITY) throw failure;
  return results;
}
