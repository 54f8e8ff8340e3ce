import { spawn } from 'node:child_process';
import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Architecture } from '../build/record.ts';
import { CodedError } from '../errors.ts';
import { exitWithError } from './exit.ts';

interface Flags {
  readonly accel: 'tcg' | 'kvm';
  readonly memory: number;
  readonly cpus: number;
  readonly append: string;
  readonly publish: readonly string[];
}

export class RunError extends CodedError<'EmulatorMissing' | 'NothingToRun'> {}

/** Adds `run`: boots what `build` made under QEMU, its console on this terminal. */
export function registerRun(program: Command): void {
  program
    .command('run')
    .summary('boot the result of a build under QEMU')
    .description(
      'Boots DIR/kernel and DIR/initrd.img with the console on this terminal. Ctrl-A X ends the machine.',
    )
    .argument('<dir>', 'folder that build wrote')
    .addOption(
      new Option('--accel <name>', 'how QEMU runs the processor').choices(['tcg', 'kvm']).default('tcg'),
    )
    .option('--memory <MiB>', 'memory of the machine', number, 1024)
    .option('--cpus <number>', 'processors of the machine', number, 2)
    .option('--append <text>', 'added to the kernel command line', '')
    .option(
      '--publish <host:guest>',
      'TCP port of this machine that leads to one of the guest (repeatable)',
      appendPort,
      [],
    )
    .action(runMachine);
}

async function runMachine(folder: string, flags: Flags): Promise<void> {
  try {
    const { program, args } = await commandLine(folder, flags);
    process.exitCode = await runEmulator(program, args);
  } catch (error) {
    exitWithError(error);
  }
}

/** Runs QEMU on this terminal until it ends; its exit code. Throws {@link RunError} `EmulatorMissing`. */
function runEmulator(program: string, args: readonly string[]): Promise<number> {
  const child = spawn(program, args, { stdio: 'inherit' });
  // The terminal's own interrupt goes to the guest; QEMU ends by its escape or when it is told to.
  process.on('SIGINT', () => undefined);
  process.once('SIGTERM', () => child.kill('SIGTERM'));
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => resolve(code ?? 1));
    child.once('error', (cause) => {
      const advice = `on Debian, apt-get install ${packageOf(program)}`;
      reject(
        new RunError('EmulatorMissing', `${program} cannot be run: ${cause.message}; ${advice}`, { cause }),
      );
    });
  });
}

const MACHINES = {
  amd64: { program: 'qemu-system-x86_64', machine: 'q35', console: 'ttyS0' },
  arm64: { program: 'qemu-system-aarch64', machine: 'virt', console: 'ttyAMA0' },
} as const satisfies Record<Architecture, unknown>;

function packageOf(program: string): string {
  return program === MACHINES.amd64.program ? 'qemu-system-x86' : 'qemu-system-arm';
}

/** What to run for a folder, with which arguments. Throws {@link RunError} `NothingToRun`. */
export async function commandLine(
  folder: string,
  flags: Flags,
): Promise<{ readonly program: string; readonly args: readonly string[] }> {
  const kernel = join(folder, 'kernel');
  const initrd = join(folder, 'initrd.img');
  try {
    await Promise.all([access(kernel), access(initrd)]);
  } catch {
    throw new RunError(
      'NothingToRun',
      `${folder} holds no kernel and initrd.img; make them with build --output ${folder}`,
    );
  }
  const { program, machine, console } = MACHINES[await architectureOf(folder)];
  const own = (await readFile(join(folder, 'cmdline'), 'utf8').catch(() => '')).trim();
  const words = [own, flags.append, /(^|\s)console=/.test(own) ? '' : `console=${console}`];
  const forwards = flags.publish.map((pair) => `,hostfwd=tcp:127.0.0.1:${pair.replace(':', '-:')}`);
  return {
    program,
    args: [
      ['-machine', machine, '-accel', flags.accel, '-cpu', flags.accel === 'kvm' ? 'host' : 'max'],
      ['-m', String(flags.memory), '-smp', String(flags.cpus), '-nodefaults', '-no-reboot'],
      ['-kernel', kernel, '-initrd', initrd, '-append', words.filter((word) => word !== '').join(' ')],
      ['-display', 'none', '-serial', 'mon:stdio', '-device', 'virtio-rng-pci'],
      ['-netdev', `user,id=net${forwards.join('')}`, '-device', 'virtio-net-pci,netdev=net'],
    ].flat(),
  };
}

/** As its record says; amd64 without one. */
async function architectureOf(folder: string): Promise<Architecture> {
  const text = await readFile(join(folder, 'build.json'), 'utf8').catch(() => '{}');
  return /"architecture":\s*"arm64"/.test(text) ? 'arm64' : 'amd64';
}

function number(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('Not a whole number above 0.');
  return value;
}

function appendPort(text: string, ports: readonly string[]): readonly string[] {
  if (!/^\d{1,5}:\d{1,5}$/.test(text))
    throw new InvalidArgumentError('Write it as HOST:GUEST, such as 8080:80.');
  return [...ports, text];
}
