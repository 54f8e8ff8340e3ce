import { readdirSync, readFileSync } from 'node:fs';

/** A process by number and start time: numbers are used again, the pair is not. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks after boot at which it started: field 22 of /proc/PID/stat, proc(5). */
  readonly startTime: number;
}

interface ProcessStat {
  readonly parent: number;
  readonly state: string;
  readonly startTime: number;
}

/** Reads what proc(5) says in `stat`; undefined when there is no such process. */
export function parseStat(text: string): ProcessStat | undefined {
  // The command's name, in parentheses, may itself hold blanks and parentheses.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state, parent, startTime] = [fields[0], Number(fields[1]), Number(fields[19])];
  if (state === undefined || !Number.isInteger(parent) || !Number.isInteger(startTime)) return undefined;
  return { state, parent, startTime };
}

function readStat(pid: number): ProcessStat | undefined {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return undefined;
  }
}

/**
 * The identity of a process, undefined when it has ended. A zombie has, unless threads
 * of its are still ending: those hold its sockets.
 */
export function identify(pid: number): ProcessIdentity | undefined {
  const stat = readStat(pid);
  if (stat === undefined || (stat.state === 'Z' && threadCount(pid) <= 1)) return undefined;
  return { pid, startTime: stat.startTime };
}

function threadCount(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/task`).length;
  } catch {
    return 0;
  }
}

/** Whether this very process still runs. */
export function isRunning(identity: ProcessIdentity): boolean {
  return identify(identity.pid)?.startTime === identity.startTime;
}

/** The processes whose parent is `pid`. */
export function childrenOf(pid: number): readonly ProcessIdentity[] {
  const children: ProcessIdentity[] = [];
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const stat = readStat(Number(entry));
    if (stat?.parent === pid && stat.state !== 'Z') {
      children.push({ pid: Number(entry), startTime: stat.startTime });
    }
  }
  return children;
}

/** Sends a signal to this very process; false when it has ended. */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (!isRunning(identity)) return false;
  try {
    process.kill(identity.pid, signal);
    return true;
  } catch {
    return false;
  }
}
