import { expect, test } from 'vitest';

import { dynamicNeeds } from './elf.ts';

test("finds a program's dynamic linker and libraries", async () => {
  const needs = await dynamicNeeds(process.execPath);
  expect(needs?.interpreter).toMatch(/^\/lib.*\/ld-linux/);
  expect(needs?.libraries).toContain('libc.so.6');
});

test('makes nothing of a file that is no ELF', async () => {
  expect(await dynamicNeeds(import.meta.filename)).toBeUndefined();
});
