/**
 * Schedules as crontab(5) has them: minute, hour, day of the month, month and day of the week, each a
 * list of numbers, ranges and steps, the last two also by their English names. Sunday is 0 and 7.
 * Where both days are restricted, either is enough; that is the tradition.
 */
export interface Cron {
  readonly minutes: readonly number[];
  readonly hours: readonly number[];
  readonly daysOfMonth: ReadonlySet<number>;
  readonly months: ReadonlySet<number>;
  readonly daysOfWeek: ReadonlySet<number>;
  /** Either day is enough: both are restricted. */
  readonly eitherDay: boolean;
}

const MACROS: Readonly<Record<string, string>> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
};

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];

interface Field {
  readonly name: string;
  readonly least: number;
  readonly most: number;
  /** Names of the numbers from `least` on. */
  readonly names?: readonly string[];
}

const FIELDS: readonly Field[] = [
  { name: 'minute', least: 0, most: 59 },
  { name: 'hour', least: 0, most: 23 },
  { name: 'day of the month', least: 1, most: 31 },
  { name: 'month', least: 1, most: 12, names: MONTHS },
  { name: 'day of the week', least: 0, most: 7, names: DAYS },
];

/** The schedule, or what is wrong with it. */
export function parseCron(text: string): Cron | { readonly problem: string } {
  const fields = (MACROS[text.trim()] ?? text).trim().split(/\s+/);
  if (fields.length !== FIELDS.length)
    return { problem: `${JSON.stringify(text)} has ${fields.length} fields, not 5` };
  const read = FIELDS.map((field, index) => readField(field, fields[index] ?? ''));
  const wrong = read.find((values) => typeof values === 'string');
  if (typeof wrong === 'string') return { problem: wrong };
  const [minutes = [], hours = [], daysOfMonth = [], months = [], daysOfWeek = []] = read.map((values) =>
    typeof values === 'string' ? [] : values,
  );
  const isOpen = (index: number): boolean => fields[index]?.startsWith('*') === true;
  return {
    minutes,
    hours,
    daysOfMonth: new Set(daysOfMonth),
    months: new Set(months),
    daysOfWeek: new Set(daysOfWeek.map((day) => day % 7)),
    eitherDay: !isOpen(2) && !isOpen(4),
  };
}

/** The numbers that a field means, ascending; or what is wrong. */
function readField(field: Field, text: string): readonly number[] | string {
  const values = new Set<number>();
  for (const part of text.split(',')) {
    const match = /^(?:\*|([0-9A-Za-z]+)(?:-([0-9A-Za-z]+))?)(?:\/(\d{1,4}))?$/.exec(part);
    const wrong = `${field.name}: ${JSON.stringify(part)} is none of N, N-N, *, each with /STEP or without, from ${field.least} to ${field.most}`;
    if (match === null) return wrong;
    const [, from, to, every] = match;
    const first = from === undefined ? field.least : readNumber(field, from);
    // A number with a step goes on to the end.
    const open = from === undefined || (to === undefined && every !== undefined);
    const last = open ? field.most : readNumber(field, to ?? from);
    const step = every === undefined ? 1 : Number(every);
    if (first === undefined || last === undefined || first > last || step < 1) return wrong;
    for (let value = first; value <= last; value += step) values.add(value);
  }
  return [...values].sort((a, b) => a - b);
}

function readNumber({ least, most, names }: Field, text: string): number | undefined {
  const named = names?.indexOf(text.toLowerCase()) ?? -1;
  const value = named >= 0 ? named + least : /^\d+$/.test(text) ? Number(text) : undefined;
  return value !== undefined && value >= least && value <= most ? value : undefined;
}

/** A day of some calendar, no instant. */
export interface CalendarDay {
  readonly year: number;
  /** 1 to 12. */
  readonly month: number;
  readonly day: number;
}

/** Whether the schedule has this day. */
export function cronHasDay(cron: Cron, { year, month, day }: CalendarDay): boolean {
  if (!cron.months.has(month)) return false;
  const ofMonth = cron.daysOfMonth.has(day);
  const ofWeek = cron.daysOfWeek.has(new Date(Date.UTC(year, month - 1, day)).getUTCDay());
  return cron.eitherDay ? ofMonth || ofWeek : ofMonth && ofWeek;
}
