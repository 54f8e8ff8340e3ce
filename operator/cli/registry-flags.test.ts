import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createAuthority } from '../runtime/certificate.ts';
import { readAuthorities, registryOptions } from './registry-flags.ts';

const authority = createAuthority('a', { from: Date.now() - 60_000, to: Date.now() + 60_000 });
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'registry-flags-'));
  await writeFile(join(folder, 'ca.pem'), authority.certificate);
  await writeFile(join(folder, 'key.pem'), '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n');
});

afterAll(() => rm(folder, { recursive: true }));

test('authorities are read from their files', async () => {
  const flags = { 'mirror.example': join(folder, 'ca.pem') };
  expect(await readAuthorities(flags)).toEqual({ 'mirror.example': authority.certificate });
});

test.each(['nothing.pem', 'key.pem'])('%s is refused by its name', async (name) => {
  await expect(readAuthorities({ '*': join(folder, name) })).rejects.toMatchObject({
    code: 'AuthorityUnusable',
    message: expect.stringContaining(`${name} does not hold certificates`),
  });
});

test('options are those of a registry client', () => {
  expect(
    registryOptions({
      insecureRegistries: ['a'],
      registryMirrors: { 'docker.io': ['b', 'c'] },
      registryAuthorities: { b: 'PEM' },
      limits: { maxRedirects: 1 },
    }),
  ).toEqual({
    insecureRegistries: ['a'],
    mirrors: new Map([['docker.io', ['b', 'c']]]),
    certificateAuthorities: new Map([['b', 'PEM']]),
    limits: { maxRedirects: 1 },
  });
});
