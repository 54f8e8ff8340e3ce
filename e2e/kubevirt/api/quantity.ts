const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
};

/** A Kubernetes quantity in bytes, rounded down. Throws RangeError for what is none. */
export function bytesOf(quantity: string): number {
  const match = /^(\d+(?:\.\d+)?)([A-Za-z]*)$/.exec(quantity);
  const unit = UNITS[match?.[2] ?? ''];
  if (match?.[1] === undefined || unit === undefined) throw new RangeError(`not a quantity: ${quantity}`);
  return Math.floor(Number(match[1]) * unit);
}

export function mebibytesOf(quantity: string): number {
  return Math.floor(bytesOf(quantity) / 2 ** 20);
}
