import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Cron, cronHasDay, parseCron } from './cron.ts';

function parsed(text: string): Cron {
  const cron = parseCron(text);
  if ('problem' in cron) throw new Error(cron.problem);
  return cron;
}

describe('fields', () => {
  test.each([
    ['0 2 * * 6', { minutes: [0], hours: [2] }],
    ['*/20 0-6/3 * * *', { minutes: [0, 20, 40], hours: [0, 3, 6] }],
    ['50/4 9,17,9 * * *', { minutes: [50, 54, 58], hours: [9, 17] }],
    ['@daily', { minutes: [0], hours: [0] }],
  ])('%s', (text, expected) => {
    expect(parsed(text)).toMatchObject(expected);
  });

  test('names, in any case; Sunday is 0 and 7', () => {
    const cron = parsed('0 0 * JAN,nov-Dec mon-FRI,7');
    expect([...cron.months]).toEqual([1, 11, 12]);
    expect([...cron.daysOfWeek].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5]);
  });

  test.each([
    ['0 2 * *', /has 4 fields, not 5/],
    ['60 * * * *', /^minute: "60"/],
    ['0 24 * * *', /^hour/],
    ['0 0 0 * *', /^day of the month/],
    ['0 0 * 13 *', /^month/],
    ['0 0 * * 8', /^day of the week/],
    ['0 6-2 * * *', /^hour: "6-2"/],
    ['*/0 * * * *', /^minute/],
    ['0 0 * * fun', /^day of the week: "fun"/],
    ['@reboot', /has 1 fields/],
    ['0 0 , * *', /^day of the month: ""/],
  ])('%s is refused', (text, problem) => {
    const cron = parseCron(text);
    expect('problem' in cron ? cron.problem : undefined).toMatch(problem);
  });

  test('any text is read or refused, and what is read is in bounds', () => {
    const field = fc.stringMatching(/^[0-9*,/a-z-]{1,6}$/);
    fc.assert(
      fc.property(fc.tuple(field, field, field, field, field), (fields) => {
        const cron = parseCron(fields.join(' '));
        if ('problem' in cron) return;
        expect(cron.minutes.length * cron.hours.length).toBeGreaterThan(0);
        expect(cron.minutes.every((minute) => minute >= 0 && minute <= 59)).toBe(true);
        expect(cron.hours.every((hour) => hour >= 0 && hour <= 23)).toBe(true);
      }),
    );
  });
});

describe('days', () => {
  // 24 November 2026 is a Tuesday.
  test.each([
    ['* * * * *', true],
    ['* * * 11 *', true],
    ['* * * 12 *', false],
    ['* * * * tue', true],
    ['* * * * wed', false],
    ['* * 24 * *', true],
    ['* * 13 * fri', false],
    ['* * 24 * fri', true],
    ['* * 13 * tue', true],
    ['* * */2 * tue', false],
    ['* * */2 * *', false],
  ])('%s: %s', (text, expected) => {
    expect(cronHasDay(parsed(text), { year: 2026, month: 11, day: 24 })).toBe(expected);
  });
});
