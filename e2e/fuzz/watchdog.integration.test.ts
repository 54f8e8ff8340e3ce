import { describe, expect, it } from 'vitest';
import { runWatched } from './watchdog.ts';

const module = new URL('./planted.ts', import.meta.url).href;

describe('a watched campaign', () => {
  it.each([
    ['loops', 'hang'],
    ['waits', 'hang'],
    ['brings its process down', 'crash'],
    ['hoards heap', 'memory'],
    ['hoards buffers', 'memory'],
  ])('finds a parser that %s, and has the input', async (target, kind) => {
    const signal = AbortSignal.timeout(90_000);
    const patience = kind === 'hang' ? 1_000 : 60_000;
    const { finding } = await runWatched({ target, seed: 1, duration: 60_000, signal, module, patience });
    expect(finding).toMatchObject({ target, kind });
    expect(finding?.input.toString()).toBe('defect');
  });

  it('ends when its time is over, having found nothing', async () => {
    const signal = AbortSignal.timeout(60_000);
    const { inputs, finding } = await runWatched({ target: 'range', seed: 1, duration: 200, signal });
    expect(finding).toBeUndefined();
    expect(inputs).toBeGreaterThan(5);
  });
});
