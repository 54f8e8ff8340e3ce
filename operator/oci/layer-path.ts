import { OciError, quotePath } from './errors.ts';

/**
 * What a name in a layer says: an entry of the tree, or that something of the layers below is gone
 * (OCI image-spec, layer.md, "Whiteouts").
 */
export type LayerName =
  | { readonly kind: 'entry'; readonly components: readonly string[] }
  | { readonly kind: 'whiteout'; readonly components: readonly string[] }
  | { readonly kind: 'opaque'; readonly components: readonly string[] }
  | { readonly kind: 'ignored' };

/** Begins the names of whiteouts: a name without it in it is that of an entry. */
export const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';
/** Bookkeeping that AUFS left in layers of old images; no engine unpacks it. */
const AUFS = '.wh..wh.';

/**
 * Splits a name at its slashes. A leading slash means the image's root, as container engines take
 * it. Throws `UnsafePath` on `..`: no image builder writes it, and what it means depends on links.
 */
export function splitPath(path: string, where: string): readonly string[] {
  const components = path.split('/').filter((component) => component !== '' && component !== '.');
  if (components.includes('..')) {
    throw new OciError('UnsafePath', `${where}: ${quotePath(path)} leads out of its directory`);
  }
  return components;
}

export function readLayerName(path: string, where: string): LayerName {
  const components = splitPath(path, where);
  const base = components.at(-1) ?? '';
  if (!path.includes(WHITEOUT)) return { kind: 'entry', components };
  if (base === OPAQUE) return { kind: 'opaque', components: components.slice(0, -1) };
  if (components.some((component) => component.startsWith(AUFS))) return { kind: 'ignored' };
  if (components.slice(0, -1).some((component) => component.startsWith(WHITEOUT))) {
    throw new OciError(
      'UnsafePath',
      `${where}: ${quotePath(path)} lies in a directory whose name is reserved for whiteouts`,
    );
  }
  if (!base.startsWith(WHITEOUT)) return { kind: 'entry', components };
  const hidden = base.slice(WHITEOUT.length);
  if (hidden === '' || hidden === '.' || hidden === '..') {
    throw new OciError('UnsafePath', `${where}: ${quotePath(path)} is not a whiteout of anything`);
  }
  return { kind: 'whiteout', components: [...components.slice(0, -1), hidden] };
}
