import { describe, expect, it } from 'vitest';
import { Slots } from './slots.ts';

/** Tasks that end when they are told to, noting when they began. */
function tasks(slots: Slots) {
  const begun: string[] = [];
  const ends = new Map<string, () => void>();
  const run = (name: string, weight: number): Promise<void> =>
    slots.run(weight, async () => {
      begun.push(name);
      await new Promise<void>((resolve) => void ends.set(name, resolve));
    });
  const end = async (name: string): Promise<void> => {
    ends.get(name)?.();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { begun, run, end };
}

describe('Slots', () => {
  it('runs so many at once, then the heaviest that waits, then the earliest', async () => {
    const { begun, run, end } = tasks(new Slots(2));
    const all = [run('a', 1), run('b', 1), run('light', 1), run('heavy', 9), run('later', 1)];
    expect(begun).toEqual(['a', 'b']);
    for (const name of ['a', 'b', 'heavy', 'light', 'later']) await end(name);
    expect(begun).toEqual(['a', 'b', 'heavy', 'light', 'later']);
    await Promise.all(all);
  });

  it('goes on after a task that failed', async () => {
    const slots = new Slots(1);
    const failing = slots.run(1, async () => {
      throw new Error('no');
    });
    const next = slots.run(1, async () => 'yes');
    await expect(failing).rejects.toThrow('no');
    expect(await next).toBe('yes');
  });
});
