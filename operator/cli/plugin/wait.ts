import { SYSTEM_CLOCK, sleep } from '../../runtime/clock.ts';
import { PluginError, type PluginErrorCode } from './error.ts';
import type { Progress } from './progress.ts';
import type { Session } from './session.ts';
import { printable } from './table.ts';

const POLL_MS = 1_000;

/**
 * Looks once a second until it is done, and tells what changed. Throws PluginError: `failure` when it
 * has failed, `TimedOut` after `timeoutMs`.
 */
export async function waitUntilDone(
  session: Session,
  look: () => Promise<Progress>,
  options: { readonly timeoutMs: number; readonly failure: PluginErrorCode; readonly what: string },
): Promise<string> {
  const deadline = performance.now() + options.timeoutMs;
  let told = '';
  for (;;) {
    const { state, text } = await look();
    if (state === 'done') return text;
    if (state === 'failed') throw new PluginError(options.failure, `${options.what}: ${printable(text)}`);
    if (text !== told) session.say(`${options.what}: ${printable(text)}`);
    told = text;
    if (performance.now() > deadline) {
      throw new PluginError(
        'TimedOut',
        `${options.what}: not within ${options.timeoutMs / 1000} s, it goes on without us; last seen: ${printable(text)}`,
      );
    }
    await sleep(SYSTEM_CLOCK, POLL_MS, session.signal);
  }
}
