import { expect, test } from 'vitest';
import { freeBuffer } from './buffer.ts';

test('memory of its own is freed, whole or in part', () => {
  for (const size of [10, Buffer.poolSize, 1024 * 1024]) {
    const whole = Buffer.allocUnsafeSlow(size);
    freeBuffer(whole);
    expect(whole.length).toBe(0);
  }
  const slab = Buffer.allocUnsafeSlow(256 * 1024);
  freeBuffer(slab.subarray(0, 100));
  expect(slab.length).toBe(0);
});

test('small buffers share memory, which stays', () => {
  const parts = Array.from({ length: 10_000 }, (_, index) => Buffer.allocUnsafe(100).fill(index % 256));
  expect(new Set(parts.map(({ buffer }) => buffer)).size).toBeLessThan(parts.length);
  for (const part of parts.slice(1)) freeBuffer(part);
  expect(parts[0]).toEqual(Buffer.alloc(100));
});
