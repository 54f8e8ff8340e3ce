/** Formats milliseconds as `0.4 s`, `12 s` or `3 m 05 s`. */
export function formatElapsed(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  return `${Math.floor(whole / 60)} m ${String(whole % 60).padStart(2, '0')} s`;
}

/** A bar of `width` cells, `done` of `total` filled. A total of 0 gives an empty bar. */
export function formatBar(done: number, total: number, width: number): string {
  const share = total > 0 ? Math.min(1, Math.max(0, done / total)) : 0;
  const filled = Math.floor(share * width);
  return `[${'#'.repeat(filled)}${'.'.repeat(width - filled)}]`;
}

/** The state of one running step, as far as it is shown. */
export interface StepView {
  readonly name: string;
  readonly elapsed: number;
  readonly detail: string;
  readonly done: number;
  readonly total: number;
}

/** One line for a running step, cut to `columns`: of a long one the name gives way, how far it is stays to be seen. */
export function formatStep(view: StepView, columns: number): string {
  const state = [formatElapsed(view.elapsed)];
  if (view.total > 0) state.push(formatBar(view.done, view.total, 24), `${view.done}/${view.total}`);
  const name = cut(view.name, Math.max(MIN_NAME, columns - 2 - state.join('  ').length));
  const line = [name, ...state].join('  ');
  const room = columns - line.length - 2;
  return view.detail === '' || room < MIN_NAME ? cut(line, columns) : `${line}  ${cut(view.detail, room)}`;
}

/** Characters of a name that say something: a step keeps so many on the narrowest terminal. */
const MIN_NAME = 10;

function cut(text: string, columns: number): string {
  return text.length <= columns ? text : `${text.slice(0, Math.max(0, columns - 1))}…`;
}
