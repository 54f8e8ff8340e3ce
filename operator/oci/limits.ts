import { LAYER_LIMITS, type LayerLimits } from './layer.ts';
import { REGISTRY_LIMITS, type RegistryLimits } from './registry/limits.ts';
import { FLATTEN_LIMITS, type FlattenLimits } from './tree-order.ts';

/** Everything that registries and the images in them may ask of whoever takes them. */
export interface ImageLimits extends LayerLimits, FlattenLimits, RegistryLimits {}

export const IMAGE_LIMITS: ImageLimits = { ...LAYER_LIMITS, ...FLATTEN_LIMITS, ...REGISTRY_LIMITS };

/** Those that are to be others than the defaults. */
export type LimitSettings = Readonly<Partial<Record<keyof ImageLimits, number>>>;

export function isLimitName(name: string): name is keyof ImageLimits {
  return Object.hasOwn(IMAGE_LIMITS, name);
}

export function limitNames(): readonly string[] {
  return Object.keys(IMAGE_LIMITS).sort();
}
