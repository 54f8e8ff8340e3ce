import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Artifact } from '../../api/image.ts';
import { messageOf } from '../../errors.ts';
import { type BootFile, bootLayerFrame, bootLayerSize } from '../../oci/boot-image.ts';
import { MEDIA_TYPES, parseManifest } from '../../oci/manifest.ts';
import type { Descriptor } from '../../oci/types.ts';
import { ARTIFACT_FILES } from '../../storage/layout.ts';
import { PluginError } from './error.ts';

/** A manifest of two layers is far smaller. */
const MANIFEST_LIMIT = 1024 * 1024;
const MANIFEST_DEADLINE_MS = 60_000;

/** In this order they are put in place; the last one marks the folder complete. */
export const DOWNLOADED = [...ARTIFACT_FILES, 'artifact.json'] as const;

/** Files that a status names where the version that built the artifact wrote them, and how it calls them. */
const EVIDENCE = [
  ['sbom.spdx.json', 'sbom'],
  ['provenance.json', 'provenance'],
  ['build.json', 'record'],
] as const;

export interface DownloadOptions {
  /** Where a boot registry is reached: `http://127.0.0.1:PORT`. */
  readonly origin: string;
  /** `NAMESPACE/NAME` of the LinuxKitImage: boot registries serve it under that, wherever else it was pushed. */
  readonly image: string;
  readonly folder: string;
  readonly signal: AbortSignal;
  readonly report: (line: string) => void;
}

/**
 * Fetches an artifact's kernel and initrd out of its boot image, and SBOM, provenance and record beside it,
 * and puts them into a folder with the command line and what the image's status says of the artifact. What
 * comes is believed for its digest alone, which the API server knows: the registry, and the way to it, need
 * no trust. Files are written beside the folder and moved once all of them are right. Gives their names;
 * files that the status does not name are left out, and taken away where an earlier download has left them.
 * Throws PluginError `DownloadFailed` or `DigestMismatch`.
 */
export async function downloadArtifact(
  artifact: Artifact,
  options: DownloadOptions,
): Promise<readonly string[]> {
  const folder = resolve(options.folder);
  await mkdir(dirname(folder), { recursive: true });
  const staging = await mkdtemp(join(dirname(folder), `.${basename(folder)}.`));
  try {
    const repository = `${options.origin}/v2/${options.image}`;
    const layers = await fetchLayers(repository, artifact, options.signal);
    for (const [file, stored] of [
      ['kernel', artifact.kernel],
      ['initrd.img', artifact.initrd],
    ] as const) {
      const layer = layers[file];
      options.report(`${file}: ${stored.size} bytes`);
      await fetchFile(
        `${repository}/blobs/${layer.digest}`,
        file,
        stored,
        unframed(file, stored.size),
        join(staging, file),
        options.signal,
      );
    }
    for (const [file, name] of EVIDENCE) {
      const stored = artifact[name];
      if (stored === undefined) {
        options.report(`${file}: not in the status of the image; a rebuild tells of it`);
        continue;
      }
      options.report(`${file}: ${stored.size} bytes`);
      await fetchFile(
        `${repository}/blobs/sha256:${stored.sha256}`,
        file,
        stored,
        exactly(file, stored.size),
        join(staging, file),
        options.signal,
      );
    }
    const cmdline = Buffer.from(artifact.cmdline.text);
    expectSum('cmdline', createHash('sha256').update(cmdline).digest('hex'), artifact.cmdline.sha256);
    await writeFile(join(staging, 'cmdline'), cmdline);
    await writeFile(join(staging, 'artifact.json'), `${JSON.stringify(artifact, null, 2)}\n`);
    await mkdir(folder, { recursive: true });
    // Whatever of ours is there is of an earlier download, and without this no folder is complete.
    for (const name of DOWNLOADED.toReversed()) await rm(join(folder, name), { force: true });
    const there = new Set(await readdir(staging));
    const files = DOWNLOADED.filter((name) => there.has(name));
    for (const name of files) await rename(join(staging, name), join(folder, name));
    return files;
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

async function fetchLayers(
  repository: string,
  artifact: Artifact,
  signal: AbortSignal,
): Promise<Readonly<Record<BootFile, Descriptor>>> {
  const { digest } = artifact.bootImage;
  const limit = AbortSignal.any([signal, AbortSignal.timeout(MANIFEST_DEADLINE_MS)]);
  const response = await get(`${repository}/manifests/${digest}`, limit);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response) {
    size += chunk.length;
    if (size > MANIFEST_LIMIT)
      throw new PluginError('DownloadFailed', `manifest ${digest} is longer than ${MANIFEST_LIMIT} bytes`);
    chunks.push(chunk);
  }
  const bytes = Buffer.concat(chunks);
  expectSum('the manifest', `sha256:${createHash('sha256').update(bytes).digest('hex')}`, digest);
  const manifest = parseManifest(bytes, MEDIA_TYPES.ociManifest, `manifest ${digest}`);
  // A build writes the kernel first; which file a layer holds is settled by its frame and digest below.
  const [kernel, initrd, ...more] = manifest.kind === 'image' ? manifest.layers : [];
  if (kernel === undefined || initrd === undefined || more.length > 0)
    throw new PluginError('DownloadFailed', `manifest ${digest} does not name a kernel and an initrd alone`);
  return { kernel, 'initrd.img': initrd };
}

async function fetchFile(
  url: string,
  file: string,
  stored: { readonly size: number; readonly sha256: string },
  content: Transform,
  path: string,
  signal: AbortSignal,
): Promise<void> {
  const body = await get(url, signal);
  const hash = createHash('sha256');
  const summed = async function* (chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      hash.update(chunk);
      yield chunk;
    }
  };
  const sink = createWriteStream(path, { flags: 'wx' });
  try {
    await pipeline(Readable.from(body), content, summed, sink, { signal });
  } catch (error) {
    if (signal.aborted || error instanceof PluginError) throw error;
    throw new PluginError('DownloadFailed', `${file}: ${messageOf(error)}`, { cause: error });
  }
  expectSum(file, hash.digest('hex'), stored.sha256);
}

/** Takes the object out of its layer: what comes before and after it must be what a build puts there. */
export function unframed(file: BootFile, size: number): Transform {
  const frame = bootLayerFrame(file, size);
  const whole = bootLayerSize(frame);
  const end = frame.header.length + size;
  let at = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const part = (from: number, to: number) => chunk.subarray(Math.max(0, from - at), Math.max(0, to - at));
      const head = part(0, frame.header.length);
      const wrongHead = !head.equals(frame.header.subarray(at, at + head.length));
      const wrongTail = part(end, at + chunk.length).some((byte) => byte !== 0);
      const content = part(frame.header.length, end);
      at += chunk.length;
      if (wrongHead || wrongTail || at > whole)
        done(new PluginError('DigestMismatch', `${file}: the layer is not that of a boot image`));
      else done(null, content);
    },
    flush(done) {
      if (at === whole) done();
      else done(new PluginError('DownloadFailed', `${file}: ${at} bytes came, ${whole} were expected`));
    },
  });
}

/** Passes on what is as long as it was said to be. */
function exactly(file: string, size: number): Transform {
  let seen = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      seen += chunk.length;
      if (seen > size) done(new PluginError('DigestMismatch', `${file}: more than ${size} bytes came`));
      else done(null, chunk);
    },
    flush(done) {
      if (seen === size) done();
      else done(new PluginError('DownloadFailed', `${file}: ${seen} bytes came, ${size} were expected`));
    },
  });
}

async function get(url: string, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
  let response: Response;
  try {
    response = await fetch(url, { signal, redirect: 'error', headers: { accept: MEDIA_TYPES.ociManifest } });
  } catch (error) {
    if (signal.aborted) throw error;
    const cause = error instanceof Error ? (error.cause ?? error) : error;
    throw new PluginError('DownloadFailed', `GET ${url}: ${messageOf(cause)}`, { cause: error });
  }
  if (response.status !== 200 || response.body === null) {
    await response.body?.cancel();
    const advice = response.status === 404 ? ': the artifact is not in storage any more' : '';
    throw new PluginError('DownloadFailed', `GET ${url}: HTTP ${response.status}${advice}`);
  }
  return response.body;
}

function expectSum(what: string, found: string, wanted: string): void {
  if (found !== wanted)
    throw new PluginError('DigestMismatch', `${what} has digest ${found}, and ${wanted} was expected`);
}
