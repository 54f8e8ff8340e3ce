import { array, assert, nat, property, string } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { COLOURED, cell, PLAIN, paintFor, printable, renderTable } from './table.ts';

describe('a table', () => {
  it('aligns columns by what is seen, coloured or not', () => {
    const rows = [
      [cell('web', 'strong'), cell('True', 'good'), cell('Available')],
      [cell('a-longer-name'), cell('', 'bad'), cell('')],
    ];
    expect(renderTable(['NAME', 'READY', 'REASON'], rows, PLAIN)).toBe(
      'NAME            READY   REASON\nweb             True    Available\na-longer-name\n',
    );
    const coloured = renderTable(['NAME', 'READY', 'REASON'], rows, COLOURED);
    expect(coloured).toContain('\u001B[1mweb\u001B[0m             \u001B[32mTrue\u001B[0m    Available\n');
  });

  it('is nothing without rows', () => {
    expect(renderTable(['NAME'], [], PLAIN)).toBe('');
  });

  it('shows one line a row whatever others wrote', () => {
    const unit = nat(0x10_ffff).map((point) => String.fromCodePoint(point));
    assert(
      property(array(string({ unit, maxLength: 20 }), { minLength: 1, maxLength: 4 }), (texts) => {
        const shown = renderTable(
          ['MESSAGE'],
          texts.map((text) => [cell(text)]),
          PLAIN,
        );
        expect(shown.split('\n')).toHaveLength(texts.length + 2);
        expect(shown.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
      }),
    );
  });
});

it.each([
  ['a\u001B[2Jb', 'a\uFFFD[2Jb'],
  ['one\r\ntwo', 'one two'],
  ['\u202Etxt', '\uFFFDtxt'],
])('%j is shown as %j', (text, shown) => {
  expect(printable(text)).toBe(shown);
});

it.each([
  [true, {}, COLOURED],
  [true, { NO_COLOR: '' }, COLOURED],
  [true, { NO_COLOR: '1' }, PLAIN],
  [true, { TERM: 'dumb' }, PLAIN],
  [false, {}, PLAIN],
])('terminal %s with %j', (isTTY, environment, paint) => {
  expect(paintFor({ isTTY }, environment)).toBe(paint);
});
