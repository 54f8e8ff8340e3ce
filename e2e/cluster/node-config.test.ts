import { execFileSync } from 'node:child_process';
import { assert, property, string } from 'fast-check';
import { expect, test } from 'vitest';
import { nodeIsReady } from './boot.ts';
import { instanceFolder } from './instance.ts';
import { clusterNetwork } from './network.ts';
import { cniConfig, containerdConfig, corefile, kubeletConfig, type NodeSettings } from './node-config.ts';
import { nodeInitScript, shellQuote } from './node-init.ts';

const settings: NodeSettings = {
  folder: '/instances/a',
  nodeName: 'a',
  cgroup: 'linuxkit-operator-a',
  network: clusterNetwork(7),
  runc: '/tools/runc',
  shim: '/tools/containerd-shim-runc-v2',
  cniFolder: '/tools/cni',
  pauseImage: 'linuxkit.dev/pause:1',
  authority: '/instances/a/pki/ca.crt',
  kubeletServing: { certificate: '/instances/a/pki/k.crt', key: '/instances/a/pki/k.key' },
};

test('containerd is given programs of its own, and spares the out-of-memory score', () => {
  const text = containerdConfig(settings);
  for (const line of [
    'version = 3',
    'root = "/instances/a/containerd/root"',
    '  sandbox = "linuxkit.dev/pause:1"',
    '  restrict_oom_score_adj = true',
    '  runtime_path = "/tools/containerd-shim-runc-v2"',
    '  BinaryName = "/tools/runc"',
    '  SystemdCgroup = false',
  ]) {
    expect(text.split('\n')).toContain(line);
  }
});

test('the kubelet runs on either cgroup version, below a root that is its instance’s alone', () => {
  expect(kubeletConfig(settings)).toMatchObject({
    cgroupRoot: '/linuxkit-operator-a',
    cgroupDriver: 'cgroupfs',
    failCgroupV1: false,
    enforceNodeAllocatable: [],
    clusterDNS: ['10.219.7.10'],
  });
});

test('pods get addresses of their instance, and names of registry and machine', () => {
  expect(JSON.stringify(cniConfig(settings.network))).toContain('"subnet":"10.218.7.0/24"');
  expect(corefile(settings)).toContain('10.217.7.2 registry.test');
  expect(corefile(settings)).toContain('10.217.7.1 host.test');
});

test('the first script of a node is one that sh understands', () => {
  const script = nodeInitScript("/a folder/with 'quotes'", 'a');
  execFileSync('sh', ['-n'], { input: script });
  expect(script).toContain(`dir='/a folder/with '\\''quotes'\\'''`);
});

test('a quoted word reaches the shell as it is', () => {
  assert(
    property(string({ unit: 'binary-ascii', maxLength: 40 }), (text) => {
      // Programs cannot be given a zero byte, quoted or not.
      const word = text.replaceAll('\0', '');
      expect(execFileSync('sh', ['-c', `printf %s ${shellQuote(word)}`]).toString()).toBe(word);
    }),
    { numRuns: 30 },
  );
});

test.each(['', 'A', '-a', 'a-', 'a/b', '..', 'a'.repeat(33)])('%j names no instance', (name) => {
  expect(() => instanceFolder(name)).toThrow(expect.objectContaining({ code: 'NameTaken' }));
});

test.each([
  ['{"status":{"conditions":[{"type":"Ready","status":"True"}]}}', true],
  ['{"status":{"conditions":[{"type":"Ready","status":"False"}]}}', false],
  ['{"status":{"conditions":[{"type":"DiskPressure","status":"True"}]}}', false],
  ['{"kind":"Status","status":"Failure"}', false],
])('whether the node %s is ready: %s', (json, ready) => {
  expect(nodeIsReady(json)).toBe(ready);
});
