import { keyProblem } from '../key.ts';
import { type ArtifactFile, artifactKey, type Place, placeOf } from '../layout.ts';
import type { ObjectInfo } from '../store.ts';
import { EndpointError } from './endpoint-error.ts';
import type { BuildPod } from './identity.ts';
import type { AnnouncedObject } from './protocol.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const GiB = 1024 * MiB;

/** The largest object of each kind, in bytes. S3 takes up to 5 GiB in one request. */
const MAX_SIZE: Readonly<Record<ArtifactFile | 'member' | 'result', number>> = {
  kernel: 512 * MiB,
  'initrd.img': 4 * GiB,
  cmdline: 64 * KiB,
  'sbom.spdx.json': 64 * MiB,
  'provenance.json': 16 * MiB,
  'build.json': MiB,
  member: 4 * GiB,
  result: MiB,
};

/** What a complete artifact cannot be without. */
const ESSENTIAL = ['kernel', 'initrd.img', 'cmdline'] as const satisfies readonly ArtifactFile[];

/**
 * Where `key` lies, if this pod may name it: below its own image, or in its namespace's cache.
 * Throws {@link EndpointError} `Forbidden` with the reason otherwise.
 */
export function permittedPlace(pod: Pick<BuildPod, 'namespace' | 'image'>, key: string): Place {
  const shown = JSON.stringify(key.slice(0, 200));
  const problem = keyProblem(key);
  if (problem !== undefined) throw new EndpointError('Forbidden', `${shown} is no object key: ${problem}`);
  const place = placeOf(key);
  if (place === undefined) {
    throw new EndpointError(
      'Forbidden',
      `${shown} is neither a file of an artifact nor an entry of the cache`,
    );
  }
  if (place.kind === 'artifact' && place.image !== pod.image) {
    const own = `${pod.namespace}/${pod.image}`;
    throw new EndpointError(
      'Forbidden',
      `${shown} belongs to another image than ${own}, which this pod builds`,
    );
  }
  return place;
}

/** Throws `TooLarge` if an object of this kind may not have that many bytes. */
export function checkSize(place: Place, object: AnnouncedObject): void {
  const most = MAX_SIZE[place.kind === 'artifact' ? place.file : place.kind];
  if (object.size <= most) return;
  throw new EndpointError('TooLarge', `${object.key}: ${object.size} bytes, more than the ${most} allowed`);
}

/** What is known of an announced object when it is decided upon. */
export interface Announcement {
  readonly object: AnnouncedObject;
  /** What the store holds under the key. */
  readonly stored: ObjectInfo | undefined;
  /** The artifact that it belongs to has its `build.json`. False for entries of the cache. */
  readonly sealed: boolean;
}

/**
 * What becomes of an announced object. `replace`: something else is removed first. That is right for
 * what an interrupted build left in an artifact without record, which nobody can be using, and for
 * entries of the cache, which their readers check and can do without: a damaged one could never be
 * mended otherwise. A sealed artifact is never touched. Throws `Conflict`.
 */
export function decide({ object, stored, sealed }: Announcement): 'present' | 'upload' | 'replace' {
  if (stored !== undefined && stored.size === object.size && stored.sha256 === object.sha256)
    return 'present';
  if (!sealed) return stored === undefined ? 'upload' : 'replace';
  const holds = stored === undefined ? 'without this file' : `with SHA-256 ${stored.sha256 ?? 'unknown'}`;
  throw new EndpointError(
    'Conflict',
    `${object.key}: the artifact is complete ${holds}, and artifacts never change`,
  );
}

/**
 * Throws `Incomplete` if a record is to be stored before what it speaks of. The pod announces the
 * files again together with their record; all of them have to be there, with the bytes it means:
 * another build may have replaced one in the meantime.
 */
export function checkComplete(
  announced: readonly { readonly key: string; readonly place: Place; readonly present: boolean }[],
): void {
  const present = new Set(announced.filter((object) => object.present).map(({ key }) => key));
  for (const { place } of announced) {
    if (place.kind !== 'artifact' || place.file !== 'build.json') continue;
    const missing = ESSENTIAL.filter((file) => !present.has(artifactKey(place.image, place.digest, file)));
    if (missing.length === 0) continue;
    throw new EndpointError(
      'Incomplete',
      `build.json of ${place.digest} comes last, and ${missing.join(', ')} of it ${missing.length === 1 ? 'is' : 'are'} not stored as announced`,
    );
  }
}
