import { describe, expect, it } from 'vitest';
import { limitFlag } from './limit-flag.ts';

describe('--limit', () => {
  it('collects, the last one of a name counting', () => {
    const first = limitFlag('maxTarBytes=1000,maxRedirects=2');
    expect(limitFlag(' maxTarBytes = 2000 ', first)).toEqual({ maxTarBytes: 2000, maxRedirects: 2 });
    expect(first).toEqual({ maxTarBytes: 1000, maxRedirects: 2 });
  });

  it.each([
    ['maxTarByte=1', /"maxTarByte" is no limit; there are .*maxTarBytes/],
    ['__proto__=1', /is no limit/],
    ['maxTarBytes', /above 0/],
    ['maxTarBytes=0', /above 0/],
    ['maxTarBytes=1e3', /above 0/],
    ['maxTarBytes=-1', /above 0/],
    ['maxTarBytes=1=2', /above 0/],
    ['maxTarBytes=99999999999999999', /above 0/],
  ])('refuses %s', (text, message) => {
    expect(() => limitFlag(text)).toThrow(message);
  });
});
