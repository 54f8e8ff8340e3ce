import { OciError } from './errors.ts';
import type { Descriptor, Platform } from './types.ts';

const REFERENCE_TYPE = 'vnd.docker.reference.type';
const REFERENCE_DIGEST = 'vnd.docker.reference.digest';

/**
 * The manifest of an index that is for this platform. Without a wanted variant, an entry without one
 * is best, then the architecture's base (v8 for arm64), then the first: others may need a newer
 * processor. An entry that names no platform is taken if nothing fits; its configuration will tell.
 */
export function choosePlatform(manifests: readonly Descriptor[], wanted: Platform, name: string): Descriptor {
  const images = manifests.filter((entry) => !isAttestation(entry));
  const fitting = images.filter(
    ({ platform }) => platform?.os === wanted.os && platform.architecture === wanted.architecture,
  );
  const base = wanted.architecture === 'arm64' ? 'v8' : undefined;
  const chosen =
    wanted.variant === undefined
      ? (fitting.find(({ platform }) => platform?.variant === undefined) ??
        fitting.find(({ platform }) => platform?.variant === base) ??
        fitting[0])
      : (fitting.find(({ platform }) => platform?.variant === wanted.variant) ??
        fitting.find(({ platform }) => platform?.variant === undefined));
  const found = chosen ?? images.find(({ platform }) => platform === undefined);
  if (found !== undefined) return found;
  const offered = images.map(({ platform }) =>
    platform === undefined ? 'unknown' : formatPlatform(platform),
  );
  throw platformMissing(name, wanted, offered);
}

/** Statements about the chosen manifest that BuildKit keeps beside it: SBOMs, provenance. */
export function attestationsOf(manifests: readonly Descriptor[], chosen: Descriptor): readonly Descriptor[] {
  return manifests.filter(
    (entry) => isAttestation(entry) && entry.annotations?.[REFERENCE_DIGEST] === chosen.digest,
  );
}

/** Throws `PlatformMissing` if an image is not what its index said, or, without an index, not what is wanted. */
export function checkPlatform(actual: Platform, wanted: Platform, name: string): void {
  const variantDiffers =
    wanted.variant !== undefined && actual.variant !== undefined && wanted.variant !== actual.variant;
  if (actual.os === wanted.os && actual.architecture === wanted.architecture && !variantDiffers) return;
  throw platformMissing(name, wanted, [formatPlatform(actual)]);
}

export function formatPlatform({ os, architecture, variant }: Platform): string {
  return variant === undefined ? `${os}/${architecture}` : `${os}/${architecture}/${variant}`;
}

function isAttestation({ annotations, platform }: Descriptor): boolean {
  return (
    annotations?.[REFERENCE_TYPE] !== undefined ||
    (platform?.os === 'unknown' && platform.architecture === 'unknown')
  );
}

function platformMissing(name: string, wanted: Platform, offered: readonly string[]): OciError {
  const list = [...new Set(offered)].slice(0, 20).join(', ');
  return new OciError(
    'PlatformMissing',
    `${name}: there is no image for ${formatPlatform(wanted)}; it is for ${list === '' ? 'no platform at all' : list}`,
  );
}
