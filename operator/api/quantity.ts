import * as z from 'zod';

/**
 * Kubernetes quantities (apimachinery, `resource.Quantity`): a decimal number with an optional
 * binary (`Ki`…`Ei`) or decimal (`n`…`E`) suffix or decimal exponent.
 */
export const QUANTITY_PATTERN = /^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$/;

const EXACT =
  /^([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E)|[eE]([+-]?[0-9]{1,2}))?$/;

const SUFFIXES: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** The value of a non-negative quantity in its base unit (bytes, cores), or undefined if it is not one. */
export function quantityValue(quantity: string | number): number | undefined {
  if (typeof quantity === 'number') return Number.isInteger(quantity) && quantity >= 0 ? quantity : undefined;
  const match = EXACT.exec(quantity);
  if (match === null) return undefined;
  const [, number = '', suffix, exponent] = match;
  const factor = suffix === undefined ? 10 ** Number(exponent ?? 0) : (SUFFIXES[suffix] ?? Number.NaN);
  const value = Number(number) * factor;
  return Number.isFinite(value) ? value : undefined;
}

/** Schema of a quantity: text, or a plain integer, as everywhere in Kubernetes. */
export const quantity = z
  .union([z.string().max(64).regex(QUANTITY_PATTERN), z.int()])
  .meta({ 'x-kubernetes-int-or-string': true });
