import { describe, expect, it } from 'vitest';
import { campaign, tryInput, type Watch } from './campaign.ts';
import { MAX_INPUT, mutate } from './mutate.ts';
import { Random } from './random.ts';
import { type FuzzTarget, promised } from './target.ts';
import { TARGETS } from './targets/all.ts';

const idle: Watch = { before: () => undefined, cpuSeconds: () => 0 };

describe.each(TARGETS)('the target $name', (target) => {
  it('accepts what our own writers make, or refuses it as it should', async () => {
    const corpus = await target.corpus();
    expect(corpus.length).toBeGreaterThan(0);
    for (const input of corpus) expect(await tryInput(target, input, idle)).toHaveProperty('outcome');
  });
});

const target = (parse: FuzzTarget['parse']): FuzzTarget => ({
  name: 'example',
  corpus: () => [Buffer.from('hello')],
  words: ['magic'],
  expected: (error) => error instanceof SyntaxError,
  parse,
});

async function inputsOf(one: FuzzTarget, seed: number, count: number): Promise<readonly string[]> {
  const inputs: string[] = [];
  const watch = { ...idle, before: (input: Buffer) => void inputs.push(input.toString('hex')) };
  for await (const finding of campaign(one, seed, watch)) {
    if (finding !== undefined || inputs.length === count) break;
  }
  return inputs;
}

describe('a campaign', () => {
  it('gives the same inputs for the same seed, and others for another', async () => {
    const one = target((input) => String(input.length % 7));
    const first = await inputsOf(one, 1, 200);
    expect(await inputsOf(one, 1, 200)).toEqual(first);
    expect(await inputsOf(one, 2, 200)).not.toEqual(first);
  });

  it('begins with what is sound', async () => {
    const [first] = await inputsOf(
      target(() => ''),
      7,
      1,
    );
    expect(first).toBe(Buffer.from('hello').toString('hex'));
  });

  it.each([
    ['an error that is not expected', new TypeError('x is undefined')],
    ['a broken promise', undefined],
  ])('ends with %s, and the input that brought it', async (_, error) => {
    const one = target((input) => {
      if (!input.includes('magic')) throw new SyntaxError('no magic');
      if (error !== undefined) throw error;
      promised(false, 'the result is wrong');
      return '';
    });
    for await (const finding of campaign(one, 3, idle)) {
      if (finding === undefined) continue;
      expect(finding).toMatchObject({ target: 'example', kind: 'unexpected error' });
      expect(finding.input.includes('magic')).toBe(true);
      return;
    }
    throw new Error('nothing was found');
  });

  it('goes on from inputs that led to something new', async () => {
    // Found step by step or not at all: no single change makes all of this.
    const one = target((input) => {
      const steps = ['magic', 'magicmagic', 'magicmagicmagic'];
      const reached = steps.filter((step) => input.includes(step)).length;
      if (reached === steps.length) throw new TypeError('found');
      return String(reached);
    });
    let inputs = 0;
    for await (const finding of campaign(one, 5, idle)) {
      inputs += 1;
      if (finding !== undefined) break;
      expect(inputs).toBeLessThan(100_000);
    }
  });

  it('takes a parser that computes for long as a finding', async () => {
    let clock = 0;
    const watch: Watch = { ...idle, cpuSeconds: () => (clock += 3) };
    const result = await tryInput(
      target(() => ''),
      Buffer.from('x'),
      watch,
    );
    expect(result).toMatchObject({ kind: 'slow', message: '1 bytes took 3.0 s of computing' });
  });
});

describe('a change', () => {
  it('leaves its material as it is, and keeps to the limit', () => {
    const random = new Random(11);
    const corpus = [Buffer.from('some input 123'), Buffer.alloc(MAX_INPUT, 'x'), Buffer.alloc(0)];
    const before = corpus.map((input) => input.toString('hex'));
    for (let round = 0; round < 2000; round += 1) {
      const input = mutate(random.pick(corpus), { corpus, words: [Buffer.from('word')] }, random);
      expect(input.length).toBeLessThanOrEqual(MAX_INPUT);
    }
    expect(corpus.map((input) => input.toString('hex'))).toEqual(before);
  });
});
