import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, join } from 'node:path';

import { runCommand } from '../images/command.ts';
import { QemuError } from './qemu-error.ts';

const NAME = 'qemu-system-x86_64';

/** Path of the emulator; on Debian, as root, its package is installed when it is missing. */
export async function findEmulator(signal?: AbortSignal): Promise<string> {
  const there = await onPath();
  if (there !== undefined) return there;
  const options = { env: { DEBIAN_FRONTEND: 'noninteractive' }, ...(signal === undefined ? {} : { signal }) };
  try {
    await runCommand('apt-get', ['update', '-q'], options);
    await runCommand(
      'apt-get',
      ['install', '-y', '-q', '--no-install-recommends', 'qemu-system-x86'],
      options,
    );
  } catch (thrown) {
    throw new QemuError(
      'EmulatorMissing',
      `${NAME} is not on PATH and could not be installed: install QEMU`,
      {
        cause: thrown,
      },
    );
  }
  const installed = await onPath();
  if (installed === undefined) throw new QemuError('EmulatorMissing', `${NAME} is not on PATH: install QEMU`);
  return installed;
}

async function onPath(): Promise<string | undefined> {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(folder, NAME);
    const runs = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (runs) return path;
  }
  return undefined;
}
