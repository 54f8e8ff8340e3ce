/** A colour by what it stands for; `plain` is none. */
export type Tone = 'plain' | 'good' | 'bad' | 'busy' | 'faint' | 'strong';

/** Text and how it is to be seen. */
export interface Cell {
  readonly text: string;
  readonly tone: Tone;
}

/** Puts a tone around text, or does not. */
export type Paint = (text: string, tone: Tone) => string;

/** ECMA-48 SGR parameters. */
const SGR: Readonly<Record<Exclude<Tone, 'plain'>, string>> = {
  good: '32',
  bad: '31',
  busy: '33',
  faint: '2',
  strong: '1',
};

export const PLAIN: Paint = (text) => text;

export const COLOURED: Paint = (text, tone) =>
  tone === 'plain' || text === '' ? text : `\u001B[${SGR[tone]}m${text}\u001B[0m`;

/** Colours are for terminals that have them, and for nobody who asks for none (no-color.org). */
export function paintFor(
  stream: { readonly isTTY?: boolean },
  environment: Readonly<Record<string, string | undefined>>,
): Paint {
  const refused = (environment['NO_COLOR'] ?? '') !== '' || environment['TERM'] === 'dumb';
  return stream.isTTY === true && !refused ? COLOURED : PLAIN;
}

export function cell(text: string, tone: Tone = 'plain'): Cell {
  return { text: printable(text), tone };
}

/**
 * Text out of an object, fit for one line of a terminal: what others wrote must not move the cursor,
 * change a title or reverse the direction of writing.
 */
export function printable(text: string): string {
  return text.replace(/[\r\n\t]+/g, ' ').replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\uFFFD');
}

const GAP = '   ';

/**
 * Columns as wide as their widest cell, as kubectl prints them; the last one is not padded. Nothing
 * for a table without rows.
 */
export function renderTable(
  header: readonly string[],
  rows: readonly (readonly Cell[])[],
  paint: Paint,
): string {
  if (rows.length === 0) return '';
  const all = [header.map((text) => cell(text)), ...rows];
  const widths = header.map((_, column) => Math.max(...all.map((row) => widthOf(row[column]?.text ?? ''))));
  return all
    .map((row) => {
      const cells = row.map(({ text, tone }, column) => {
        const padding = column === header.length - 1 ? 0 : (widths[column] ?? 0) - widthOf(text);
        return paint(text, tone) + ' '.repeat(padding);
      });
      return `${cells.join(GAP).trimEnd()}\n`;
    })
    .join('');
}

/** Code points: names and digests are ASCII, and messages come last in their row. */
function widthOf(text: string): number {
  return Array.from(text).length;
}
