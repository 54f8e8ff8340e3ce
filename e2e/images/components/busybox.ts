import { join } from 'node:path';

import { run } from '../../process/run.ts';
import { directory, type Entry, file, program, symlink } from '../entry.ts';
import type { Workshop } from '../workshop.ts';

const FOLDERS = ['dev', 'etc', 'proc', 'root', 'run', 'sys', 'tmp', 'var/run', 'mnt'];

/** Debian's static busybox, with a link for each program it can be, where its own installer puts it. */
export async function busyboxPrograms(workshop: Workshop): Promise<readonly Entry[]> {
  const binary = join(await workshop.package('busybox-static'), 'bin', 'busybox');
  const listed = await run(binary, ['--list-full'], { signal: workshop.signal });
  const paths = listed.split('\n').filter((path) => path !== '' && path !== 'bin/busybox');
  return [program('bin/busybox', { disk: binary }), ...paths.map((path) => symlink(path, '/bin/busybox'))];
}

/** A container's root with busybox, and the folders that containers mount on. */
export async function busyboxRoot(workshop: Workshop): Promise<readonly Entry[]> {
  return [
    ...FOLDERS.map((path) => directory(path, path === 'tmp' ? 0o1777 : 0o755)),
    ...(await busyboxPrograms(workshop)),
    file('etc/passwd', 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n'),
    file('etc/group', 'root:x:0:\nnogroup:x:65534:\n'),
  ];
}
