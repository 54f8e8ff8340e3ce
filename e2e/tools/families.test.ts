import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { cacheFolder } from './cache.ts';
import { buildFlags, familyOf, type ToolFamily, toolFamilies } from './families.ts';
import { binaryName } from './tools.ts';

test.each([
  ['k8s.io/kubernetes/cmd/kubelet', 'kubelet'],
  ['go.etcd.io/etcd/server/v3', 'server'],
  ['github.com/containerd/containerd/v2/cmd/ctr', 'ctr'],
])('go build names the binary of %s %s', (path, name) => {
  expect(binaryName(path)).toBe(name);
});

test('every binary is built by one family', () => {
  const all = Object.values(toolFamilies).flatMap((family) => Object.keys(family.commands));
  expect(new Set(all).size).toBe(all.length);
  expect(familyOf('ctr')).toBe('containerd');
});

test.each(Object.entries(toolFamilies))(
  'the module of %s provides its commands',
  (name, family: ToolFamily) => {
    const folder = join(import.meta.dirname, name);
    const module = readFileSync(join(folder, 'go.mod'), 'utf8');
    for (const path of Object.values(family.commands)) {
      const [, own] = /^linuxkit\.dev\/e2e\/tools\/(.*)$/.exec(path) ?? [];
      expect(
        own !== undefined
          ? own.split('/')[0] === name && existsSync(join(import.meta.dirname, own, 'main.go'))
          : module.includes(`\t${path}\n`) || module.includes(`tool ${path}\n`),
      ).toBe(true);
    }
  },
);

test('link flags carry the version stamps, tags come first', () => {
  expect(buildFlags({ commands: {}, tags: ['a', 'b'], variables: { 'x.y': '1' } })).toEqual([
    '-trimpath',
    '-buildvcs=false',
    '-tags',
    'a,b',
    '-ldflags',
    '-s -w -X x.y=1',
  ]);
});

test.each([
  [{ LINUXKIT_OPERATOR_CACHE: '/a', XDG_CACHE_HOME: '/b' }, /^\/a$/],
  [{ XDG_CACHE_HOME: '/b' }, /^\/b\/linuxkit-operator$/],
  [{ LINUXKIT_OPERATOR_CACHE: '' }, /\.cache\/linuxkit-operator$/],
])('the cache folder follows %j', (env, expected) => {
  expect(cacheFolder(env)).toMatch(expected);
});
