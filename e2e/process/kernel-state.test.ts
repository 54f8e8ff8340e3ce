import { expect, test } from 'vitest';
import { parseCgroupMounts } from './cgroups.ts';
import { parseMountPoints } from './mounts.ts';

const mountinfo = [
  '20 1 254:0 / / rw,relatime - ext4 /dev/vda rw',
  '30 20 0:25 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory',
  '31 20 0:26 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw',
  '40 20 0:40 / /a/node rw,relatime - tmpfs tmpfs rw',
  '41 40 0:41 / /a/node/with\\040blank rw,relatime - tmpfs tmpfs rw',
  '42 20 0:42 / /a/node-2 rw,relatime - tmpfs cgroup rw',
  '',
].join('\n');

test('finds the mounts at and below a folder, deepest first, and no neighbour', () => {
  expect(parseMountPoints(mountinfo, '/a/node')).toEqual(['/a/node/with blank', '/a/node']);
});

test('finds the hierarchies of both cgroup versions', () => {
  expect(parseCgroupMounts(mountinfo)).toEqual(['/sys/fs/cgroup/memory', '/sys/fs/cgroup/unified']);
});
