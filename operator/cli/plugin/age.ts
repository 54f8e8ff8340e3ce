const UNITS = [
  ['d', 86_400],
  ['h', 3_600],
  ['m', 60],
] as const;

/**
 * How long ago a time (RFC 3339) was, in one unit or, where that says little, two: `45s`, `12m`, `3h20m`, `2d4h`.
 * `-` for none. `now` in milliseconds since the epoch; clocks differ, so nothing is in the future.
 */
export function age(time: string | undefined, now: number): string {
  const at = time === undefined ? Number.NaN : Date.parse(time);
  if (Number.isNaN(at)) return '-';
  const seconds = Math.max(0, Math.floor((now - at) / 1000));
  for (const [index, [unit, length]] of UNITS.entries()) {
    if (seconds < length) continue;
    const whole = Math.floor(seconds / length);
    const smaller = UNITS[index + 1];
    const rest = smaller === undefined ? 0 : Math.floor((seconds % length) / smaller[1]);
    return whole >= 10 || rest === 0 ? `${whole}${unit}` : `${whole}${unit}${rest}${smaller?.[0] ?? ''}`;
  }
  return `${seconds}s`;
}

/** `sha256:` and eight digits: enough to tell artifacts of one image apart. `-` for none. */
export function shortDigest(digest: string | undefined): string {
  return digest === undefined ? '-' : digest.replace(/^(sha256:[0-9a-f]{8})[0-9a-f]+$/, '$1…');
}
