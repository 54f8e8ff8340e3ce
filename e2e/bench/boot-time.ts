import { join } from 'node:path';
import { bootQemu } from '../qemu/machine.ts';

/** Milliseconds until the kernel has unpacked a set under software emulation, on a busy machine. */
const DEADLINE = 600_000;
/** Room for the initrd and for what it becomes. */
const MEMORY = '2048M';

/**
 * Boots a result under QEMU's software emulation, and gives the seconds from the kernel's start to
 * its start of init, by the kernel's own clock.
 */
export async function secondsToInit(folder: string, signal: AbortSignal): Promise<number> {
  await using machine = await bootQemu({
    kernel: join(folder, 'kernel'),
    initrd: join(folder, 'initrd.img'),
    cmdline: 'console=ttyS0 panic=-1',
    memory: MEMORY,
    signal,
  });
  const [, seconds] = await machine.waitFor(/\[ *(\d+\.\d+)\] Run \/init as init process/, DEADLINE);
  return Number(seconds);
}
