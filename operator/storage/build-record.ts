import { createHash } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import * as z from 'zod';
import type { BuildRecord, FileRecord } from '../build/record.ts';
import { type Digest, isDigest } from '../oci/types.ts';
import { artifactKey, inNamespace } from './layout.ts';
import { type ObjectReader, StorageError } from './store.ts';

/** `build.json` is read into memory whole, by the operator and on every node. */
export const MAX_RECORD_BYTES = 1024 * 1024;
const MAX_TEXT = 256 * 1024;

const digest = z.custom<Digest>(
  (value) => typeof value === 'string' && isDigest(value),
  'must be sha256: and 64 hex digits',
);
const hex = z.string().regex(/^[0-9a-f]{64}$/);
const size = z.int().nonnegative();
const file = z.object({ size, sha256: hex });

const buildRecord = z.object({
  schema: z.literal('linuxkit.dev/build/v1'),
  digest,
  architecture: z.enum(['amd64', 'arm64']),
  compression: z.enum(['gzip', 'zstd']),
  created: z.iso.datetime(),
  engine: z.string().max(256),
  inputsHash: z.string().max(128),
  inputs: z
    .array(
      z.object({
        location: z.string().max(256),
        reference: z.string().max(1024),
        digest,
        verifiedBy: z
          .object({ digest, signer: z.string().max(4096), form: z.enum(['simple', 'bundle']) })
          .exactOptional(),
      }),
    )
    .max(1000),
  files: z.object({
    kernel: file,
    'initrd.img': file.extend({ uncompressedSize: size, uncompressedSha256: hex }),
    cmdline: file,
    'sbom.spdx.json': file.exactOptional(),
    'provenance.json': file.exactOptional(),
  }),
  cmdline: z.string().max(64 * 1024),
  bootImage: z.object({
    digest,
    manifest: z.string().max(MAX_TEXT),
    config: z.string().max(MAX_TEXT),
    layers: z.array(z.object({ file: z.enum(['kernel', 'initrd.img']), digest, size })).max(2),
  }),
}) satisfies z.ZodType<BuildRecord>;

/**
 * Reads the text of a `build.json`. It was written by a build pod, in a tenant's namespace: what it
 * says of digests is a claim, which whoever uses it has to check. Fields unknown to this version are
 * dropped. Returns the reason when it is no record, or one of another artifact than `expected`.
 */
export function parseBuildRecord(
  json: string,
  expected: Digest,
): { readonly record: BuildRecord } | { readonly problem: string } {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return { problem: 'it is not JSON' };
  }
  const parsed = buildRecord.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return { problem: `${issue?.path.join('.') || 'the record'}: ${issue?.message}` };
  }
  if (parsed.data.digest !== expected) return { problem: `it is the record of ${parsed.data.digest}` };
  return { record: parsed.data };
}

/** A record, and the object that it was read from. */
export interface StoredRecord {
  readonly record: BuildRecord;
  readonly file: FileRecord;
}

/**
 * The record of a complete artifact; undefined when there is none. Throws {@link StorageError}
 * `InvalidRecord` when what is stored is no record of that artifact.
 */
export async function readBuildRecord(
  store: ObjectReader,
  artifact: { readonly namespace: string; readonly image: string; readonly digest: Digest },
  options: { readonly signal: AbortSignal },
): Promise<StoredRecord | undefined> {
  const key = inNamespace(artifact.namespace, artifactKey(artifact.image, artifact.digest, 'build.json'));
  const bytes = await readBytes(store, key, options);
  if (bytes === undefined) return undefined;
  const parsed = parseBuildRecord(bytes.toString(), artifact.digest);
  if ('record' in parsed) {
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    return { record: parsed.record, file: { size: bytes.length, sha256 } };
  }
  throw new StorageError('InvalidRecord', `object ${key}: ${parsed.problem}`);
}

async function readBytes(
  store: ObjectReader,
  key: string,
  options: { readonly signal: AbortSignal },
): Promise<Buffer | undefined> {
  try {
    const { info, body } = await store.get(key, options);
    if (info.size > MAX_RECORD_BYTES) {
      body.destroy();
      throw new StorageError(
        'InvalidRecord',
        `object ${key}: ${info.size} bytes, more than ${MAX_RECORD_BYTES}`,
      );
    }
    return await buffer(body);
  } catch (error) {
    if (error instanceof StorageError && error.code === 'ObjectNotFound') return undefined;
    throw error;
  }
}
