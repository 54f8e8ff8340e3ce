import { assert, constantFrom, dictionary, jsonValue, property, string } from 'fast-check';
import { expect, test } from 'vitest';
import {
  type BuildInputs,
  buildHash,
  buildInputs,
  buildName,
  reasonForBuild,
  referencedConfigMaps,
} from './build-hash.ts';
import { canonicalJson } from './canonical.ts';
import { CONFIG, imageWith } from './image-under-test.ts';

const context = {
  configMaps: new Map([
    ['b', 'u/1'],
    ['a', 'u/2'],
  ]),
  salts: ['one'],
  registries: { insecureRegistries: ['r2', 'r1'] },
  refresh: '',
};
const VERIFICATION = {
  publicKeys: [{ configMapKeyRef: { name: 'keys', key: 'cosign.pub' } }],
  identities: [{ issuer: 'i', subject: 's' }],
  trustedRoot: { configMapKeyRef: { name: 'a-root', key: 'trusted_root.json' } },
};
const inputs = buildInputs(imageWith(), CONFIG, context);
const hash = buildHash(inputs);

test('the hash is a fixed function: a change of it would build every image in every cluster again', () => {
  expect(hash).toBe(GOLDEN);
  expect(hash).toMatch(/^[0-9a-f]{64}$/);
});

test.each<[string, Partial<BuildInputs>, string]>([
  [
    'the configuration',
    { spec: { ...inputs.spec, config: { ...CONFIG, init: ['example/init:2'] } } },
    'SpecChanged',
  ],
  ['the architecture', { spec: { ...inputs.spec, architecture: 'arm64' } }, 'SpecChanged'],
  ['the compression', { spec: { ...inputs.spec, compression: 'gzip' } }, 'SpecChanged'],
  ['a file', { spec: { ...inputs.spec, files: [] } }, 'SpecChanged'],
  ['another image’s name', { spec: { ...inputs.spec, image: 'other' } }, 'SpecChanged'],
  [
    'a ConfigMap',
    {
      configMaps: [
        ['a', 'u/3'],
        ['b', 'u/1'],
      ],
    },
    'ConfigChanged',
  ],
  ['whose signatures count', { spec: { ...inputs.spec, verification: VERIFICATION } }, 'SpecChanged'],
  [
    'where the boot image is to lie',
    { spec: { ...inputs.spec, bootImage: { repository: 'r.example/boot' } } },
    'SpecChanged',
  ],
  ['mirrors', { engine: { ...inputs.engine, registryMirrors: { 'docker.io': ['m'] } } }, 'EngineChanged'],
  ['limits', { engine: { ...inputs.engine, limits: { maxTarBytes: 1 } } }, 'EngineChanged'],
  ['the engine', { engine: { ...inputs.engine, salts: ['one', 'two'] } }, 'EngineChanged'],
  ['a request', { request: 'now' }, 'Requested'],
  ['a refresh', { refresh: '2026-01-01T00:00:00Z' }, 'Refresh'],
])('%s changes it, and the hash tells what it was', (_, change, reason) => {
  const changed = buildHash({ ...inputs, ...change });
  expect(changed.slice(0, 24)).not.toBe(hash.slice(0, 24));
  expect(reasonForBuild(hash, changed)).toBe(reason);
});

test('of several changes the one that a person made is told', () => {
  const changed = buildHash({
    ...inputs,
    spec: { ...inputs.spec, config: {} },
    engine: { salts: [], insecureRegistries: [] },
    refresh: 'x',
  });
  expect(reasonForBuild(hash, changed)).toBe('SpecChanged');
  expect(reasonForBuild(undefined, hash)).toBe('Created');
  expect(reasonForBuild('of another version', hash)).toBe('Created');
});

test.each([
  ['build', { build: { retries: 0, resources: { limits: { memory: '9Gi' } }, timeout: '10m' } }],
  ['imagePullSecrets', { imagePullSecrets: [{ name: 'x' }] }],
  ['historyLimit', { historyLimit: 9 }],
  ['deletionPolicy', { deletionPolicy: 'Retain' }],
  ['suspend', { suspend: true }],
  ['refresh', { refresh: { interval: '12h' } }],
])('%s does not: nothing of it is in the output', (_, spec) => {
  expect(buildHash(buildInputs(imageWith({ spec }), CONFIG, context))).toBe(hash);
});

test('the Secret to pull the boot image with counts, since machines are given it; the one to push with does not', () => {
  const withBoot = (secrets: object) =>
    buildHash(
      buildInputs(
        imageWith({ spec: { bootImage: { repository: 'r.example/boot', ...secrets } } }),
        CONFIG,
        context,
      ),
    );
  expect(withBoot({})).not.toBe(hash);
  expect(withBoot({ pushSecretName: 'push' })).toBe(withBoot({}));
  expect(withBoot({ pullSecretName: 'pull' })).not.toBe(withBoot({}));
});

test('taking the annotation away asks for nothing', () => {
  const annotations = { 'linuxkit.dev/rebuild-requested-at': 'now' };
  const asked = buildHash(buildInputs(imageWith({ metadata: { annotations } }), CONFIG, context));
  const after = buildHash(buildInputs(imageWith({ status: { lastHandledRebuild: 'now' } }), CONFIG, context));
  expect(after).toBe(asked);
});

test('canonical JSON does not depend on the order of fields', () => {
  assert(
    property(dictionary(string(), jsonValue()), (value) => {
      const reversed = Object.fromEntries(Object.entries(value).reverse());
      expect(canonicalJson(reversed)).toBe(canonicalJson(value));
      expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
});

test('names of Jobs are names of DNS labels, and different for different images', () => {
  const names = ['web', 'a', 'x'.repeat(63), `${'y'.repeat(51)}-z`, `${'y'.repeat(52)}-z`];
  assert(
    property(constantFrom(...names), (name) => {
      expect(buildName(name, hash)).toMatch(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/);
      expect(buildName(name, hash).endsWith(`-${hash.slice(0, 10)}`)).toBe(true);
    }),
  );
  expect(buildName('web', hash)).toBe(`web-${hash.slice(0, 10)}`);
});

test('ConfigMaps are named once and in order; Secrets are not looked at', () => {
  const file = (path: string, from: object) => ({ path, contentsFrom: from });
  const { spec } = imageWith({
    spec: {
      config: undefined,
      configFrom: { configMapKeyRef: { name: 'z', key: 'k' } },
      files: [
        file('/a', { configMapKeyRef: { name: 'b', key: 'k' } }),
        file('/b', { secretKeyRef: { name: 's', key: 'k' } }),
        file('/c', { configMapKeyRef: { name: 'z', key: 'l' } }),
      ],
    },
  });
  expect(referencedConfigMaps(spec)).toEqual(['b', 'z']);
  expect(referencedConfigMaps({ ...spec, verification: VERIFICATION })).toEqual(['a-root', 'b', 'keys', 'z']);
});

const GOLDEN = 'b86097173c0b6555395107d2aee23c6a69d40387aa1b389512ae32cb12ae32cb';
