import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { PluginError } from './error.ts';

/** How long kubectl may take to open the port. */
const OPEN_DEADLINE_MS = 30_000;
const CLOSE_DEADLINE_MS = 5_000;
const STDERR_LIMIT = 2048;

/** A port of this machine's loopback that leads to a port of a pod, as long as it is not disposed of. */
export interface Forwarded extends AsyncDisposable {
  /** `http://127.0.0.1:PORT` */
  readonly origin: string;
}

/** The local port out of kubectl's first line: `Forwarding from 127.0.0.1:41234 -> 5117`. */
export function forwardedPort(line: string): number | undefined {
  const port = Number(/^Forwarding from 127\.0\.0\.1:(\d{1,5}) -> \d+$/.exec(line.trim())?.[1]);
  return Number.isInteger(port) && port > 0 && port < 65_536 ? port : undefined;
}

/**
 * Forwards by `kubectl port-forward`: it is there, the plugin being called by it, and it has the user's
 * credentials. Throws PluginError `ForwardFailed` with what kubectl said.
 */
export async function forwardPort(
  flags: readonly string[],
  target: { readonly namespace: string; readonly pod: string; readonly port: number },
  signal: AbortSignal,
): Promise<Forwarded> {
  const child = spawn(
    'kubectl',
    [
      ...flags,
      `--namespace=${target.namespace}`,
      'port-forward',
      '--address=127.0.0.1',
      `pod/${target.pod}`,
      `:${target.port}`,
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = `${said}${text}`.slice(-STDERR_LIMIT);
  });
  const ended = new Promise<never>((_, reject) => {
    const fail = (why: string): void =>
      reject(
        new PluginError(
          'ForwardFailed',
          `kubectl port-forward to pod ${target.namespace}/${target.pod} ${why}: ${said.trim() || 'it said nothing'}`,
        ),
      );
    child.once('error', (error) => fail(`could not be run (${error.message})`));
    child.once('close', () => fail('ended'));
  });
  ended.catch(() => undefined);
  const close = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit', { signal: AbortSignal.timeout(CLOSE_DEADLINE_MS) });
    child.kill('SIGTERM');
    await gone.catch(() => child.kill('SIGKILL'));
  };
  const limit = AbortSignal.any([signal, AbortSignal.timeout(OPEN_DEADLINE_MS)]);
  const opened = new Promise<number>((resolve, reject) => {
    limit.addEventListener('abort', () => reject(limit.reason as Error), { once: true });
    // Read to its end: a pipe that nobody empties would stop kubectl.
    createInterface(child.stdout).on('line', (line) => {
      const port = forwardedPort(line);
      if (port !== undefined) resolve(port);
    });
  });
  try {
    const port = await Promise.race([opened, ended]);
    return { origin: `http://127.0.0.1:${port}`, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    if (signal.aborted || error instanceof PluginError) throw error;
    throw new PluginError(
      'ForwardFailed',
      `kubectl port-forward to pod ${target.namespace}/${target.pod} opened no port within ${OPEN_DEADLINE_MS / 1000} s: ${said.trim()}`,
      { cause: error },
    );
  }
}
