import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InvalidArgumentError } from 'commander';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { identityFlag, policyOfFlags } from './trust-files.ts';

let folder: string;
const path = (name: string): string => join(folder, name);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trust-files-'));
  await writeFile(path('cosign.pub'), 'a key');
  await writeFile(path('root.json'), 'a root');
  await writeFile(path('huge'), Buffer.alloc(1024 * 1024 + 1));
});

afterAll(() => rm(folder, { recursive: true }));

test.each([
  ['https://i.example,a@b.example', { issuer: 'https://i.example', subject: 'a@b.example' }],
  ['https://i.example,/.*@b\\.example/', { issuer: 'https://i.example', subjectPattern: '.*@b\\.example' }],
  ['/https:.{1,9}/,a,b', { issuerPattern: 'https:.{1,9}', subject: 'a,b' }],
  ['i,/', { issuer: 'i', subject: '/' }],
])('%s is an identity', (text, identity) => {
  const before = [{ issuer: 'x', subject: 'y' }];
  expect(identityFlag(text, before)).toEqual([...before, identity]);
});

test.each(['', 'a', ',a', 'a,', '/a/', '/a,b'])('%s is none', (text) => {
  expect(() => identityFlag(text, [])).toThrow(InvalidArgumentError);
});

test('flags make a policy, and none make none', async () => {
  const none = { verifyKey: [], verifyIdentity: [] };
  expect(await policyOfFlags(none)).toBeUndefined();
  const identities = [{ issuer: 'i', subject: 's' }];
  expect(
    await policyOfFlags({
      verifyKey: [path('cosign.pub')],
      verifyIdentity: identities,
      trustedRoot: path('root.json'),
    }),
  ).toEqual({ publicKeys: ['a key'], identities, trustedRoot: 'a root' });
  // Not nothing: who gives a root wants images verified.
  expect(await policyOfFlags({ ...none, trustedRoot: path('root.json') })).toMatchObject({ publicKeys: [] });
});

test.each(['missing', 'huge'])('a file that is %s is named', async (name) => {
  const flags = { verifyKey: [path(name)], verifyIdentity: [] };
  await expect(policyOfFlags(flags)).rejects.toMatchObject({
    step: 'configure',
    code: 'InvalidLinuxKitConfig',
    message: expect.stringContaining(path(name)),
  });
});
