import { type Command, InvalidArgumentError, Option } from 'commander';
import { durationMilliseconds } from '../../api/duration.ts';

export interface WaitFlags {
  readonly wait?: true;
  /** Milliseconds. */
  readonly timeout: number;
}

/** Adds `--wait` and how long. */
export function addWaitOptions(command: Command): Command {
  return command
    .option('-w, --wait', 'wait until it is done or has failed')
    .addOption(
      new Option('--timeout <duration>', 'how long to wait, such as 90s or 10m')
        .default(1_800_000, '30m')
        .argParser(duration),
    );
}

function duration(text: string): number {
  const ms = durationMilliseconds(text);
  if (ms === undefined) throw new InvalidArgumentError('Not a duration such as 90s or 10m.');
  return ms;
}
