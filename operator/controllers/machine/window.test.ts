import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { MaintenanceWindow } from '../../api/machine.ts';
import { windowAt, windowProblem } from './window.ts';

function window(schedule: string, duration: string, timeZone = 'UTC'): MaintenanceWindow {
  return { schedule, duration, timeZone };
}

function at(what: MaintenanceWindow, time: string): string {
  const { open, changesAt } = windowAt(what, Date.parse(time));
  return `${open ? 'open' : 'closed'} until ${changesAt === undefined ? 'ever' : new Date(changesAt).toISOString()}`;
}

describe('a window on Saturdays from two to four', () => {
  const saturday = window('0 2 * * sat', '2h');
  test.each([
    ['2026-11-24T12:00:00Z', 'closed until 2026-11-28T02:00:00.000Z'],
    ['2026-11-28T01:59:59Z', 'closed until 2026-11-28T02:00:00.000Z'],
    ['2026-11-28T02:00:00Z', 'open until 2026-11-28T04:00:00.000Z'],
    ['2026-11-28T03:59:59Z', 'open until 2026-11-28T04:00:00.000Z'],
    ['2026-11-28T04:00:00Z', 'closed until 2026-12-05T02:00:00.000Z'],
  ])('at %s is %s', (time, expected) => {
    expect(at(saturday, time)).toBe(expected);
  });
});

describe('is reckoned by the clocks of its zone', () => {
  const berlin = window('30 2 * * *', '1h', 'Europe/Berlin');
  test.each([
    ['in winter', '2026-01-10T01:30:00Z', 'open until 2026-01-10T02:30:00.000Z'],
    ['in summer', '2026-07-10T00:30:00Z', 'open until 2026-07-10T01:30:00.000Z'],
    ['when that time is skipped', '2026-03-29T00:59:00Z', 'closed until 2026-03-29T01:30:00.000Z'],
    ['when it comes twice, the first time', '2026-10-25T00:00:00Z', 'closed until 2026-10-25T00:30:00.000Z'],
    ['and not the second', '2026-10-25T01:40:00Z', 'closed until 2026-10-26T01:30:00.000Z'],
  ])('%s', (_title, time, expected) => {
    expect(at(berlin, time)).toBe(expected);
  });

  test('on the other side of the date line', () => {
    // 08:00 on Sunday in Auckland is Saturday evening in UTC.
    expect(at(window('0 8 * * sun', '1h', 'Pacific/Auckland'), '2026-07-11T20:10:00Z')).toBe(
      'open until 2026-07-11T21:00:00.000Z',
    );
  });
});

test.each([
  ['windows that overlap are one', window('0 0,1,2 * * *', '90m'), 'open until 2026-11-24T03:30:00.000Z'],
  ['windows that touch as well', window('0 0,1 * * *', '1h'), 'open until 2026-11-24T02:00:00.000Z'],
  [
    'one of a week that opens every Monday never closes, as far as anybody looks',
    window('0 0 * * mon', '168h'),
    'open until 2026-12-07T00:00:00.000Z',
  ],
  ['the 29th of February', window('0 0 29 2 *', '1h'), 'closed until 2028-02-29T00:00:00.000Z'],
  ['the 30th of February', window('0 0 30 2 *', '1h'), 'closed until ever'],
])('%s', (_title, what, expected) => {
  expect(at(what, '2026-11-24T00:30:00Z')).toBe(expected);
});

test('a window that is always open is looked at again within days', () => {
  const { open, changesAt = 0 } = windowAt(window('* * * * *', '10m'), Date.parse('2026-11-24T00:30:00Z'));
  expect(open).toBe(true);
  expect(changesAt).toBeGreaterThan(Date.parse('2026-11-24T12:00:00Z'));
});

test.each([
  [window('0 25 * * *', '1h'), /^schedule: hour/],
  [window('0 2 * * *', '1h', 'Europe/Atlantis'), /^timeZone: there is no time zone Europe\/Atlantis/],
])('%j has a problem, and is closed', (what, problem) => {
  expect(windowProblem(what)).toMatch(problem);
  expect(windowAt(what, 0)).toEqual({ open: false, changesAt: undefined });
});

test('at the moment that it names the state has changed, and not a moment before', () => {
  const schedules = fc.constantFrom('0 2 * * *', '*/7 3 * * 1-5', '30 23 1,15 * *', '59 1 * * sun');
  const zones = fc.constantFrom(
    'UTC',
    'Europe/Berlin',
    'America/New_York',
    'Australia/Lord_Howe',
    'Asia/Kolkata',
  );
  const instants = fc.integer({ min: Date.UTC(2025, 0, 1), max: Date.UTC(2028, 0, 1) });
  fc.assert(
    fc.property(
      schedules,
      zones,
      fc.constantFrom('1m', '45m', '26h'),
      instants,
      (schedule, zone, duration, now) => {
        const what = window(schedule, duration, zone);
        expect(windowProblem(what)).toBeUndefined();
        const { open, changesAt = 0 } = windowAt(what, now);
        expect(changesAt).toBeGreaterThan(now);
        expect(windowAt(what, changesAt - 1).open).toBe(open);
        // Where windows touch, one that closes is open again at once.
        if (!open) expect(windowAt(what, changesAt).open).toBe(true);
      },
    ),
    { numRuns: 300 },
  );
});
