import { describeFailure } from './failure.ts';
import { formatElapsed, formatStep } from './render.ts';

/** What a running step can tell about itself. */
export interface Step {
  /** Says what the step is doing now, in a few words. */
  detail(text: string): void;
  /** Says how far the step is, in units of its own; a total of 0 hides the bar. */
  progress(done: number, total: number): void;
}

/** Shows named steps and how long each took. */
export interface Reporter {
  /**
   * Runs `work` as a step. A failure is shown once, by the innermost step, with the
   * end of its log and what to do, and is thrown on.
   */
  step<T>(name: string, work: (step: Step) => Promise<T>): Promise<T>;
  /** Prints a line of its own. */
  note(text: string): void;
}

/** The part of a terminal or file that a reporter writes to. */
export interface ReporterOutput {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

interface RunningStep {
  readonly name: string;
  readonly started: number;
  detail: string;
  done: number;
  total: number;
  lastPlain: number;
}

const redrawInterval = 200;
/** Without a terminal, a running step says how far it is this often, in milliseconds. */
const plainInterval = 20_000;

/**
 * A reporter that keeps one live line for each running step on a terminal, and
 * writes plain lines elsewhere.
 */
export function createReporter(
  output: ReporterOutput = process.stderr,
  now: () => number = () => performance.now(),
): Reporter {
  const live = output.isTTY === true;
  const running = new Set<RunningStep>();
  const shown = new WeakSet<Error>();
  let drawn = 0;
  let timer: NodeJS.Timeout | undefined;

  const erase = (): void => {
    if (drawn > 0) output.write(`\u001b[${drawn}A\u001b[J`);
    drawn = 0;
  };
  const draw = (): void => {
    if (!live) return;
    const columns = output.columns ?? 80;
    for (const step of running) {
      output.write(`  ${formatStep({ ...step, elapsed: now() - step.started }, columns - 3)}\n`);
      drawn += 1;
    }
  };
  const line = (text: string): void => {
    erase();
    output.write(`${text}\n`);
    draw();
  };
  const tick = (): void => {
    if (live) {
      erase();
      draw();
      return;
    }
    for (const step of running) {
      if (now() - step.lastPlain < plainInterval) continue;
      step.lastPlain = now();
      output.write(`... ${formatStep({ ...step, elapsed: now() - step.started }, 200)}\n`);
    }
  };

  return {
    note: line,
    async step(name, work) {
      const step: RunningStep = { name, started: now(), detail: '', done: 0, total: 0, lastPlain: now() };
      running.add(step);
      timer ??= setInterval(tick, redrawInterval);
      timer.unref();
      if (live) tick();
      else output.write(`>>> ${name}\n`);
      const finish = (text: string): void => {
        running.delete(step);
        if (running.size === 0) {
          clearInterval(timer);
          timer = undefined;
        }
        line(text);
      };
      try {
        const result = await work({
          detail: (text) => {
            step.detail = text;
          },
          progress: (done, total) => {
            step.done = done;
            step.total = total;
          },
        });
        finish(`ok  ${name}  ${formatElapsed(now() - step.started)}`);
        return result;
      } catch (error) {
        const known = error instanceof Error && shown.has(error);
        if (error instanceof Error) shown.add(error);
        const what = known ? '' : `\n${indent(describeFailure(error))}`;
        finish(`FAILED  ${name}  after ${formatElapsed(now() - step.started)}${what}`);
        throw error;
      }
    },
  };
}

/** A reporter that shows nothing, for tests whose failures are reported by the runner. */
export const silentReporter: Reporter = {
  step: async (_name, work) => await work({ detail: () => undefined, progress: () => undefined }),
  note: () => undefined,
};

function indent(text: string): string {
  return text
    .split('\n')
    .map((each) => `    ${each}`)
    .join('\n');
}
