import { Readable } from 'node:stream';
import { type Digest, isDigest } from '../oci/types.ts';
import { parseBuildRecord } from '../storage/build-record.ts';
import { type ArtifactFile, artifactKey, resultKey } from '../storage/layout.ts';
import { type ObjectReader, type ObjectSource, type ObjectWriter, StorageError } from '../storage/store.ts';
import { canonicalJson } from './identity.ts';
import type { BuildResult } from './pipeline.ts';
import type { BuildRecord } from './record.ts';
import { readObject } from './stored-object.ts';
import { sumOf } from './sum.ts';
import { objectSource } from './work-file.ts';

/** A namespace's part of the store, as its builds see it. */
export type ArtifactStore = ObjectReader & ObjectWriter;

/** What was stored, in bytes, and the record that stands: an earlier one if the same artifact was there. */
export interface Published {
  readonly record: BuildRecord;
  readonly bytesStored: number;
}

/**
 * Stores an artifact, its record last: until that is there, the artifact does not exist. Nothing that is
 * stored is ever changed, so a build that gives the same artifact again finds it and is done.
 */
export async function publish(
  store: ArtifactStore,
  image: string,
  { record, files }: BuildResult,
  signal: AbortSignal,
): Promise<Published> {
  const earlier = await storedRecord(store, image, record.digest, signal);
  if (earlier !== undefined || files === undefined) {
    await rememberResult(store, record.inputsHash, record.digest, signal);
    return { record: earlier ?? record, bytesStored: 0 };
  }
  const contents: readonly (readonly [ArtifactFile, ObjectSource])[] = [
    ['kernel', objectSource(files.kernel)],
    ['initrd.img', objectSource(files['initrd.img'])],
    ['cmdline', bytesSource(Buffer.from(record.cmdline))],
    ['sbom.spdx.json', objectSource(files['sbom.spdx.json'])],
    ['provenance.json', objectSource(files['provenance.json'])],
    ['build.json', bytesSource(Buffer.from(`${JSON.stringify(record, null, 2)}\n`))],
  ];
  let bytesStored = 0;
  for (const [file, source] of contents) {
    const outcome = await put(store, artifactKey(image, record.digest, file), source, signal);
    if (outcome === 'created') bytesStored += source.size;
  }
  await rememberResult(store, record.inputsHash, record.digest, signal);
  return { record, bytesStored };
}

async function put(
  store: ArtifactStore,
  key: string,
  source: ObjectSource,
  signal: AbortSignal,
): Promise<'created' | 'exists'> {
  try {
    return await store.put(key, source, { signal });
  } catch (error) {
    if (!(error instanceof StorageError) || error.code !== 'ObjectConflict') throw error;
    // Only another compressor can have made other bytes of the same content, in a build that never ended.
    throw new StorageError(
      'ObjectConflict',
      `${error.message}: an unfinished artifact of another version is in the way; it is removed when its grace period is over`,
      { cause: error },
    );
  }
}

function bytesSource(bytes: Uint8Array): ObjectSource {
  return { ...sumOf(bytes), open: () => Readable.from([bytes]) };
}

/** The record of an artifact that is complete; undefined when there is none that can be believed. */
export async function storedRecord(
  store: ObjectReader,
  image: string,
  digest: Digest,
  signal: AbortSignal,
): Promise<BuildRecord | undefined> {
  const text = await readObject(store, artifactKey(image, digest, 'build.json'), signal);
  if (text === undefined) return undefined;
  const parsed = parseBuildRecord(text, digest);
  return 'record' in parsed ? parsed.record : undefined;
}

/** What an earlier build of the same inputs gave, if its artifact is still there for the image. */
export async function findResult(
  store: ObjectReader,
  image: string,
  inputsHash: string,
  signal: AbortSignal,
): Promise<BuildRecord | undefined> {
  const text = await readObject(store, resultKey(inputsHash), signal);
  if (text === undefined) return undefined;
  const digest = resultDigest(text);
  return digest === undefined ? undefined : storedRecord(store, image, digest, signal);
}

function resultDigest(text: string): Digest | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || !('digest' in value)) return undefined;
    return typeof value.digest === 'string' && isDigest(value.digest) ? value.digest : undefined;
  } catch {
    return undefined;
  }
}

/** A convenience for later builds: that it cannot be written, or says something else, is no failure. */
async function rememberResult(
  store: ArtifactStore,
  inputsHash: string,
  digest: Digest,
  signal: AbortSignal,
): Promise<void> {
  const source = bytesSource(Buffer.from(`${canonicalJson({ schema: 'linuxkit.dev/result/v1', digest })}\n`));
  try {
    await store.put(resultKey(inputsHash), source, { signal });
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    signal.throwIfAborted();
  }
}
