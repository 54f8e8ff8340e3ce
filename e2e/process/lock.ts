import { spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Failure } from '../progress/failure.ts';

/**
 * Runs `work` while holding an exclusive lock on `file`, across processes.
 *
 * Node has no flock(2). A child holds the lock for as long as its standard input is
 * open, so the kernel releases it however this process ends: nothing goes stale.
 */
export async function withLock<T>(file: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  await mkdir(dirname(file), { recursive: true });
  const holder = spawn('flock', ['--exclusive', file, 'sh', '-c', 'echo locked; cat >/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    signal,
    killSignal: 'SIGKILL',
  });
  holder.stdin.on('error', () => undefined);
  const ended = new Promise<void>((resolve) => {
    holder.once('close', () => {
      resolve();
    });
  });
  try {
    await new Promise<void>((resolve, reject) => {
      holder.once('error', reject);
      holder.stdout.once('data', () => {
        resolve();
      });
      holder.once('close', (code) => {
        reject(new Failure('CommandFailed', `flock ${file} exited with ${code} before it held the lock`));
      });
    });
    // Later errors of the holder (an abort) must not become uncaught ones.
    holder.on('error', () => undefined);
    return await work();
  } finally {
    holder.stdin.end();
    await ended;
  }
}
