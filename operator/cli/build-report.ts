import type { BuildProgress, ReportProgress } from '../build/progress.ts';

const UNITS = ['B', 'kB', 'MB', 'GB'] as const;

/** A size for people, in decimal units: `137.7 MB`. */
export function formatSize(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit]}`;
}

/** Tells on `output` how a build proceeds, a line an event, each with the seconds since it began. */
export function textReport(output: NodeJS.WritableStream, now: () => number): ReportProgress {
  const begun = now();
  return (event) => {
    const line = lineOf(event);
    const seconds = ((now() - begun) / 1000).toFixed(1).padStart(6);
    if (line !== undefined) output.write(`${seconds}s  ${line}\n`);
  };
}

function lineOf(event: BuildProgress): string | undefined {
  switch (event.kind) {
    case 'step':
      return event.step;
    case 'resolved':
      return `  ${event.location}  ${event.reference}  ${event.digest.slice(0, 19)}`;
    case 'verified':
      return `  ${event.location}  signed by ${event.signer}`;
    case 'ended':
      // The next step, or the failure, says so.
      return undefined;
    case 'pulled':
      if (event.problem !== undefined) return undefined;
      return `  pulled ${event.digest.slice(0, 19)}  ${formatSize(event.size)}`;
    case 'member':
      return `  ${event.name}  ${formatSize(event.size)}${event.cached ? ', from the cache' : ''}`;
    case 'warning':
      return `warning: ${event.message}`;
    default:
      return event satisfies never;
  }
}
