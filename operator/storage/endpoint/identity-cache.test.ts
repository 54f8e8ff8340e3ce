import { describe, expect, it } from 'vitest';
import { deadline } from '../store-contract.ts';
import { IdentityCache } from './identity-cache.ts';

const options = { signal: deadline() };

function cache() {
  const state = { asked: 0, now: 0, fail: false };
  const subject = new IdentityCache(
    async (token) => {
      state.asked += 1;
      if (state.fail) throw new Error('refused');
      return { namespace: 'tenant', image: token, podName: 'p', podUid: 'u' };
    },
    () => state.now,
  );
  return { state, subject };
}

describe('IdentityCache', () => {
  it('asks once in ten seconds for a token', async () => {
    const { state, subject } = cache();
    for (state.now = 0; state.now < 10_000; state.now += 2500) await subject.identify('a', options);
    expect(state.asked).toBe(1);
    await subject.identify('a', options);
    expect(state.asked).toBe(2);
  });

  it('tells tokens apart', async () => {
    const { subject } = cache();
    expect((await subject.identify('a', options)).image).toBe('a');
    expect((await subject.identify('b', options)).image).toBe('b');
  });

  it('does not remember a refusal', async () => {
    const { state, subject } = cache();
    state.fail = true;
    await expect(subject.identify('a', options)).rejects.toThrow('refused');
    state.fail = false;
    expect((await subject.identify('a', options)).image).toBe('a');
  });

  it('holds a bounded number of answers', async () => {
    const { state, subject } = cache();
    for (let index = 0; index < 1500; index += 1) await subject.identify(`token-${index}`, options);
    await subject.identify('token-1499', options);
    expect(state.asked).toBe(1500);
    await subject.identify('token-0', options);
    expect(state.asked).toBe(1501);
  });
});
