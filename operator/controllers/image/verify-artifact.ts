import { createHash } from 'node:crypto';
import type { BuildRecord, FileRecord } from '../../build/record.ts';
import { messageOf } from '../../errors.ts';
import { type Digest, sha256Digest } from '../../oci/types.ts';
import { readBuildRecord } from '../../storage/build-record.ts';
import { artifactKey, inNamespace } from '../../storage/layout.ts';
import { type ObjectReader, StorageError } from '../../storage/store.ts';

/** An artifact that is what it says. */
export interface Verified {
  readonly kind: 'verified';
  readonly record: BuildRecord;
  /** `build.json` itself. */
  readonly recordFile: FileRecord;
}

/** What a look at a stored artifact gives. */
export type StoredResult =
  | Verified
  /** There is no record: never written whole, or removed since. */
  | { readonly kind: 'missing' }
  /** It is there and not what it says. */
  | { readonly kind: 'wrong'; readonly message: string }
  /** Storage did not say. */
  | { readonly kind: 'unavailable'; readonly message: string };

interface Place {
  readonly namespace: string;
  readonly image: string;
  readonly digest: Digest;
}

/**
 * Reads an artifact's `build.json` and holds its claims against what storage has: each file there,
 * of that size and SHA-256 (which storage checked when the bytes came in), for the architecture that
 * was asked for, and a boot image whose manifest has the digest that machines will name.
 */
export async function verifyArtifact(
  store: ObjectReader,
  place: Place,
  architecture: string,
  options: { readonly signal: AbortSignal },
): Promise<StoredResult> {
  try {
    const stored = await readBuildRecord(store, place, options);
    if (stored === undefined) return { kind: 'missing' };
    const { record, file } = stored;
    const problem = claimProblem(record, architecture) ?? (await fileProblem(store, place, record, options));
    return problem === undefined
      ? { kind: 'verified', record, recordFile: file }
      : { kind: 'wrong', message: problem };
  } catch (error) {
    if (options.signal.aborted) throw error;
    if (error instanceof StorageError && error.code === 'InvalidRecord')
      return { kind: 'wrong', message: error.message };
    return { kind: 'unavailable', message: messageOf(error) };
  }
}

function claimProblem(record: BuildRecord, architecture: string): string | undefined {
  if (record.architecture !== architecture) {
    return `it was built for ${record.architecture}, not for ${architecture}`;
  }
  const { manifest, digest, layers } = record.bootImage;
  const actual = sha256Digest(createHash('sha256').update(manifest, 'utf8').digest('hex'));
  if (actual !== digest) return `the boot image's manifest has the digest ${actual}, not ${digest}`;
  const unnamed = layers.find((layer) => !manifest.includes(layer.digest));
  return unnamed === undefined
    ? undefined
    : `the boot image's manifest does not name its layer ${unnamed.digest}`;
}

async function fileProblem(
  store: ObjectReader,
  place: Place,
  record: BuildRecord,
  options: { readonly signal: AbortSignal },
): Promise<string | undefined> {
  for (const file of ['kernel', 'initrd.img', 'cmdline', 'sbom.spdx.json', 'provenance.json'] as const) {
    const claimed = record.files[file];
    if (claimed === undefined) continue;
    const key = inNamespace(place.namespace, artifactKey(place.image, place.digest, file));
    const stored = await store.head(key, options);
    if (stored === undefined) return `object ${key} is not there`;
    if (stored.size !== claimed.size)
      return `object ${key} has ${stored.size} bytes, the record says ${claimed.size}`;
    if (stored.sha256 !== claimed.sha256) {
      return `object ${key} has SHA-256 ${stored.sha256 ?? '(not known to storage)'}, the record says ${claimed.sha256}`;
    }
  }
  return undefined;
}
