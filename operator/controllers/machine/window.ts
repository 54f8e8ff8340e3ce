import { durationMilliseconds } from '../../api/duration.ts';
import type { MaintenanceWindow } from '../../api/machine.ts';
import { type CalendarDay, type Cron, cronHasDay, parseCron } from './cron.ts';

/** Whether a maintenance window is open, and when that changes. */
export interface WindowState {
  readonly open: boolean;
  /** Milliseconds since the Unix epoch; undefined for a window that never opens (30 February). */
  readonly changesAt: number | undefined;
}

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
/** 29 February comes at least this often, in days. */
const HORIZON_DAYS = 8 * 366 + 1;

/** What is wrong with a window, if anything. */
export function windowProblem(window: MaintenanceWindow): string | undefined {
  const cron = parseCron(window.schedule);
  if ('problem' in cron) return `schedule: ${cron.problem}`;
  if (zoneOf(window.timeZone) === undefined) return `timeZone: there is no time zone ${window.timeZone}`;
  return undefined;
}

/**
 * The state at a time. Windows that overlap or touch are one. A time of day that the clocks skip is taken as if
 * they were put forward later; one that comes twice counts the first time. A window that has a
 * problem is closed.
 */
export function windowAt(window: MaintenanceWindow, now: number): WindowState {
  const cron = parseCron(window.schedule);
  const zone = zoneOf(window.timeZone);
  const duration = durationMilliseconds(window.duration) ?? 0;
  if ('problem' in cron || zone === undefined) return { open: false, changesAt: undefined };
  let end: number | undefined;
  for (const start of opensFrom(cron, zone, now - duration)) {
    if (start > now && (end === undefined || start > end))
      return end === undefined ? { open: false, changesAt: start } : { open: true, changesAt: end };
    if (start + duration > now) end = start + duration;
    // A schedule of every minute never closes: far enough ahead, it is looked at again.
    if (end !== undefined && end - now > DAY + duration) break;
  }
  return end === undefined ? { open: false, changesAt: undefined } : { open: true, changesAt: end };
}

/** The instants at which the schedule opens, ascending, from this one on. */
function* opensFrom(cron: Cron, zone: Intl.DateTimeFormat, from: number): Generator<number> {
  const first = wallTime(zone, from - DAY);
  for (let index = 0; index < HORIZON_DAYS; index += 1) {
    const date = new Date(Date.UTC(first.getUTCFullYear(), first.getUTCMonth(), first.getUTCDate() + index));
    const day: CalendarDay = {
      year: date.getUTCFullYear(),
      month: date.getUTCMonth() + 1,
      day: date.getUTCDate(),
    };
    if (!cronHasDay(cron, day)) continue;
    const times = cron.hours.flatMap((hour) => cron.minutes.map((minute) => hour * 60 + minute));
    yield* instantsOf(zone, date.getTime(), times).filter((instant) => instant >= from);
  }
}

/** What the clocks of the zone show, as if it were UTC. */
function wallTime(zone: Intl.DateTimeFormat, instant: number): Date {
  const parts = new Map(zone.formatToParts(instant).map(({ type, value }) => [type, Number(value)]));
  const [year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0] = (
    ['year', 'month', 'day', 'hour', 'minute', 'second'] as const
  ).map((part) => parts.get(part));
  return new Date(Date.UTC(year, month - 1, day, hour, minute, second));
}

/** The instants at which the clocks show these minutes of a day, ascending; `midnight` as if it were UTC. */
function instantsOf(
  zone: Intl.DateTimeFormat,
  midnight: number,
  minutes: readonly number[],
): readonly number[] {
  const offset = (instant: number): number => wallTime(zone, instant).getTime() - instant;
  const [before, after] = [offset(midnight - DAY), offset(midnight + 2 * DAY)];
  const walls = minutes.map((minute) => midnight + minute * MINUTE);
  if (before === after) return walls.map((wall) => wall - before);
  return walls
    .map((wall) => {
      const shown = [wall - before, wall - after].filter((instant) => instant + offset(instant) === wall);
      return shown.length > 0 ? Math.min(...shown) : wall - before;
    })
    .sort((a, b) => a - b);
}

const zones = new Map<string, Intl.DateTimeFormat | undefined>();

function zoneOf(timeZone: string): Intl.DateTimeFormat | undefined {
  if (!zones.has(timeZone)) zones.set(timeZone, makeZone(timeZone));
  return zones.get(timeZone);
}

function makeZone(timeZone: string): Intl.DateTimeFormat | undefined {
  try {
    return new Intl.DateTimeFormat('en-US', {
      timeZone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
