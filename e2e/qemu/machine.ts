import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { silentReporter } from '../progress/reporter.ts';
import { ensurePackages } from '../tools/packages.ts';
import { Console } from './console.ts';
import { monitorCommand } from './monitor.ts';

export interface MachineOptions {
  /** Paths of the files to boot. */
  readonly kernel: string;
  readonly initrd: string;
  /** Kernel command line; name `console=ttyS0` in it to see anything. */
  readonly cmdline: string;
  /** As QEMU takes it; 512M without it. */
  readonly memory?: string;
  /** 1 without it: under emulation a second one costs more than it brings. */
  readonly cpus?: number;
  /** TCP ports of this machine's loopback, by those of the guest to which they lead. */
  readonly forward?: Readonly<Record<number, number>>;
  /** More arguments: disks, devices. */
  readonly args?: readonly string[];
  /** Ends the machine. */
  readonly signal?: AbortSignal;
}

/** Milliseconds between asking QEMU to end and killing it. */
const GRACE = 5_000;

/** Of Debian's package qemu-system-x86. */
const EMULATOR = 'qemu-system-x86_64';

/** Longest time for installing the emulator where it is missing, in milliseconds. */
const INSTALL_DEADLINE = 900_000;

/**
 * Boots a kernel and an initrd under QEMU's software emulation, a q35 machine with one
 * virtio network card on user networking. Dispose of it, or call `stop`.
 */
export async function bootQemu(options: MachineOptions): Promise<Machine> {
  const signal = options.signal ?? AbortSignal.timeout(INSTALL_DEADLINE);
  await ensurePackages(['qemu-system-x86'], silentReporter, signal);
  options.signal?.throwIfAborted();
  return new Machine(await mkdtemp(join(tmpdir(), 'qemu-')), options);
}

/** A running emulator and its console. */
export class Machine {
  readonly console = new Console();
  /** Resolves with the exit code when the emulator has ended; never rejects. */
  readonly ended: Promise<number | null>;
  readonly #child: ChildProcess;
  readonly #folder: string;

  constructor(folder: string, options: MachineOptions) {
    this.#folder = folder;
    const child = spawn(EMULATOR, commandLine(options, this.#monitor), {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    const abort = (): void => void child.kill('SIGTERM');
    options.signal?.addEventListener('abort', abort, { once: true });
    child.stdout.on('data', (chunk: Buffer) => this.console.append(chunk));
    child.stderr.on('data', (chunk: Buffer) => this.console.append(chunk));
    const { promise, resolve } = Promise.withResolvers<number | null>();
    child.once('error', (error) => {
      this.console.end(`QEMU did not start: ${error.message}`);
      resolve(null);
    });
    child.once('close', (code) => {
      this.console.end(`QEMU ended with ${code === null ? 'a signal' : `status ${code}`}`);
      resolve(code);
    });
    this.ended = promise.then(async (code) => {
      options.signal?.removeEventListener('abort', abort);
      await rm(folder, { recursive: true, force: true });
      return code;
    });
  }

  /** The first match of the pattern on the console, past or to come; `deadline` in milliseconds. */
  waitFor(pattern: RegExp, deadline: number): Promise<RegExpMatchArray> {
    return this.console.waitFor(pattern, deadline);
  }

  /** Presses the power button (ACPI); the guest decides. */
  async pressPowerButton(): Promise<void> {
    await monitorCommand(this.#monitor, 'system_powerdown');
  }

  /** Takes the power away and waits until the emulator has gone. */
  async stop(): Promise<void> {
    this.#child.kill('SIGTERM');
    const killer = setTimeout(() => this.#child.kill('SIGKILL'), GRACE);
    await this.ended.finally(() => clearTimeout(killer));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  get #monitor(): string {
    return join(this.#folder, 'monitor');
  }
}

/**
 * QEMU's arguments. Emulating a plain processor takes a fifth less of ours than one that can
 * everything. The card has no option ROM: the firmware would wait for it to find a network boot.
 */
export function commandLine(options: MachineOptions, monitor: string): readonly string[] {
  const fixed =
    '-machine q35 -accel tcg,thread=multi -cpu qemu64 -nographic -no-reboot ' +
    '-mon chardev=monitor,mode=control -device virtio-net-pci,netdev=net0,romfile=';
  const forwarded = Object.entries(options.forward ?? {}).map(
    ([guest, host]) => `,hostfwd=tcp:127.0.0.1:${host}-:${guest}`,
  );
  return fixed
    .split(' ')
    .concat('-smp', String(options.cpus ?? 1), '-m', options.memory ?? '512M')
    .concat('-netdev', `user,id=net0${forwarded.join('')}`)
    .concat('-chardev', `socket,id=monitor,path=${monitor},server=on,wait=off`)
    .concat('-kernel', options.kernel, '-initrd', options.initrd, '-append', options.cmdline)
    .concat(options.args ?? []);
}
