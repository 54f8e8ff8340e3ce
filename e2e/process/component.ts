import { spawn } from 'node:child_process';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { Failure, tail } from '../progress/failure.ts';
import { identify, isRunning, type ProcessIdentity, signalProcess } from './identity.ts';
import { type Watched, waitFor } from './wait.ts';

/** A long-running program, and where its output goes. */
export interface ComponentSpec {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly logFile: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Whether it outlives this process; otherwise the kernel kills it when this process ends. */
  readonly survives: boolean;
}

/** What is written down of a component, to find it again. */
export interface ComponentRecord extends ProcessIdentity {
  readonly name: string;
  readonly logFile: string;
}

/** A running program with a log, started here or found by its record. */
export class Component implements Watched {
  readonly record: ComponentRecord;

  constructor(record: ComponentRecord) {
    this.record = record;
  }

  /**
   * Starts a program in a session of its own, its output appended to its log.
   * @throws Failure `ToolMissing` when it cannot be executed.
   */
  static async start(spec: ComponentSpec): Promise<Component> {
    const log = openSync(spec.logFile, 'a');
    try {
      // pdeathsig is kept over execve(2), so no supervisor is needed to clean up after a crash.
      const argv = spec.survives
        ? [spec.command, ...spec.args]
        : ['setpriv', '--pdeathsig', 'KILL', '--', spec.command, ...spec.args];
      const child = spawn(argv[0] ?? spec.command, argv.slice(1), {
        detached: true,
        ...(spec.cwd === undefined ? {} : { cwd: spec.cwd }),
        env: { ...process.env, ...spec.env },
        stdio: ['ignore', log, log],
      });
      await new Promise<void>((resolve, reject) => {
        child.once('spawn', resolve);
        child.once('error', (cause) => {
          reject(new Failure('ToolMissing', `cannot start ${spec.name} (${spec.command})`, { cause }));
        });
      });
      child.unref();
      const pid = child.pid ?? -1;
      const startTime = identify(pid)?.startTime ?? -1;
      return new Component({ name: spec.name, pid, startTime, logFile: spec.logFile });
    } finally {
      closeSync(log);
    }
  }

  get name(): string {
    return this.record.name;
  }

  isRunning(): boolean {
    return isRunning(this.record);
  }

  /** The last lines of the log. */
  logTail(lines = 40): string {
    return readLogTail(this.record.logFile, lines);
  }

  /** @throws Failure `ComponentExited` with the end of the log when it no longer runs. */
  assertRunning(): void {
    if (this.isRunning()) return;
    throw new Failure('ComponentExited', `${this.name} has exited`, {
      log: this.logTail(),
    });
  }

  /** Sends a signal; false when it has ended already. */
  kill(signal: NodeJS.Signals): boolean {
    return signalProcess(this.record, signal);
  }

  /** Ends it: politely, and after `grace` milliseconds by force. Returns when it is gone. */
  async stop(signal: AbortSignal, grace = 5_000): Promise<void> {
    if (!this.kill('SIGTERM')) return;
    try {
      await this.waitForExit(signal, grace);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      this.kill('SIGKILL');
      await this.waitForExit(signal, 10_000);
    }
  }

  /** Waits until it has ended. @throws Failure `NotReadyInTime` */
  async waitForExit(signal: AbortSignal, timeout: number): Promise<void> {
    await waitFor(`the end of ${this.name}`, () => !this.isRunning(), { signal, timeout, interval: 20 });
  }
}

const logTailBytes = 64 * 1024;

function readLogTail(file: string, lines: number): string {
  let descriptor: number;
  try {
    descriptor = openSync(file, 'r');
  } catch {
    return '';
  }
  try {
    const { size } = fstatSync(descriptor);
    const buffer = Buffer.alloc(Math.min(size, logTailBytes));
    const read = readSync(descriptor, buffer, 0, buffer.length, size - buffer.length);
    return tail(buffer.toString('utf8', 0, read), lines);
  } finally {
    closeSync(descriptor);
  }
}
