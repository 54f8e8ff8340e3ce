import { createWriteStream } from 'node:fs';
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { type Entry, file } from '../images/entry.ts';
import { OciLayout } from '../images/oci-layout.ts';
import { pushImage } from '../images/oci-push.ts';
import { type WrittenImage, writeImage, writeIndex } from '../images/oci-writer.ts';
import { tarball } from '../images/tarball.ts';
import type { Reporter, Step } from '../progress/reporter.ts';
import { cacheFolder } from '../tools/cache.ts';
import { FilePool } from './file-pool.ts';
import { type ImageSet, type SetImage, SMALL_SERVICE } from './image-sets.ts';

/** Counts up when the sets are made in another way, so that those in the cache are made anew. */
const RECIPE = 2;

/** A set of images as blobs in a folder, ready to be pushed. */
export interface PreparedSet {
  readonly set: ImageSet;
  readonly layout: OciLayout;
  readonly images: ReadonlyMap<string, WrittenImage>;
  /** Of the files in all images, in bytes. */
  readonly fileBytes: number;
}

interface Made {
  readonly fileBytes: number;
  readonly images: readonly (readonly [string, Omit<WrittenImage, 'layout'>])[];
}

/** Makes the images of a set of this machine's files, or takes those that were made before. */
export async function prepareSet(
  set: ImageSet,
  reporter: Reporter,
  signal: AbortSignal,
): Promise<PreparedSet> {
  const folder = join(cacheFolder(), 'bench', `${set.name}-${RECIPE}`);
  const layout = new OciLayout(folder);
  const record = join(folder, 'set.json');
  const known = await readFile(record, 'utf8').catch(() => undefined);
  const made = known === undefined ? await make() : (JSON.parse(known) as Made);
  const images = new Map(made.images.map(([name, image]) => [name, { ...image, layout }]));
  return { set, layout, images, fileBytes: made.fileBytes };

  async function make(): Promise<Made> {
    return reporter.step(`make the images of the set ${set.name}`, async (step) => {
      await rm(folder, { recursive: true, force: true });
      await mkdir(folder, { recursive: true });
      const result = await makeImages(set, layout, step, signal);
      await writeFile(`${record}.new`, JSON.stringify(result));
      await rename(`${record}.new`, record);
      return result;
    });
  }
}

async function makeImages(set: ImageSet, layout: OciLayout, step: Step, signal: AbortSignal): Promise<Made> {
  const pool = new FilePool();
  const images: [string, Omit<WrittenImage, 'layout'>][] = [];
  let fileBytes = 0;
  for (const [at, image] of set.images.entries()) {
    step.progress(at, set.images.length);
    step.detail(image.name);
    const layers = await layersOf(image, pool, layout);
    for (const layer of layers) for (const entry of layer) fileBytes += await sizeOf(entry);
    const { layout: _, ...written } = await writeMultiArch(layout, image.name, layers, signal);
    images.push([image.name, written]);
  }
  return { fileBytes, images };
}

async function layersOf(
  image: SetImage,
  pool: FilePool,
  layout: OciLayout,
): Promise<readonly (readonly Entry[])[]> {
  const bytes = image.megabytes * 1e6;
  if (image.role === 'kernel') {
    const binary = 12e6;
    const kernel = join(layout.folder, 'kernel');
    // Neither is what it is called: nothing in a build looks into them but for the names of modules.
    await pipeline(tarball(await pool.slice(binary)), createWriteStream(kernel));
    const modules = join(layout.folder, 'kernel.tar');
    await pipeline(tarball(asModules(await pool.slice(bytes - binary))), createWriteStream(modules));
    return [[file('kernel', { disk: kernel }), file('kernel.tar', { disk: modules })]];
  }
  const count = image.layers ?? 1;
  const layers: (readonly Entry[])[] = [];
  for (let at = 0; at < count; at += 1) layers.push(await pool.slice(bytes / count));
  return layers;
}

function asModules(entries: readonly Entry[]): readonly Entry[] {
  const folder = 'lib/modules/6.1.0/kernel';
  const folders = folder.split('/').map(
    (_, at, all): Entry => ({
      type: 'directory',
      path: all.slice(0, at + 1).join('/'),
    }),
  );
  const files = entries.filter(({ type }) => type === 'file');
  return [...folders, ...files.map((entry, at) => ({ ...entry, path: `${folder}/module-${at}.ko` }))];
}

async function sizeOf(entry: Entry): Promise<number> {
  if (entry.type !== 'file' || typeof entry.content === 'string' || !('disk' in entry.content)) return 0;
  return (await stat(entry.content.disk)).size;
}

/** An index as publishers make them: for two architectures, of which the other one is not wanted here. */
async function writeMultiArch(
  layout: OciLayout,
  name: string,
  layers: readonly (readonly Entry[])[],
  signal: AbortSignal,
): Promise<WrittenImage> {
  const config = { Cmd: [`/usr/bin/${name}`] };
  const sources = layers.map((entries) => ({ entries }));
  const amd64 = await writeImage(layout, { layers: sources, config }, signal);
  const other = [{ entries: [file('etc/architecture', 'arm64')] }];
  const arm64 = await writeImage(layout, { layers: other, config, architecture: 'arm64' }, signal);
  return writeIndex(layout, [arm64, amd64]);
}

/** A new version of the small service: its layer, and one more on top. */
export async function changedService(
  prepared: PreparedSet,
  version: string,
  signal: AbortSignal,
): Promise<WrittenImage> {
  const entries = await new FilePool().slice(3e6);
  const layers = [entries, [file('etc/version', version)]];
  return writeMultiArch(prepared.layout, SMALL_SERVICE, layers, signal);
}

/** Pushes all images of a set. */
export async function pushSet(
  { set, images }: PreparedSet,
  registry: string,
  signal: AbortSignal,
): Promise<void> {
  for (const [name, image] of images) {
    await pushImage(image, { registry, repository: `${set.name}/${name}`, tag: '1' }, signal);
  }
}

/** Files of the layers for one architecture, as the registry serves them. */
export async function layerFiles({ layout, images }: PreparedSet): Promise<readonly string[]> {
  const paths: string[] = [];
  for (const image of images.values()) {
    for (const { digest, mediaType } of image.content)
      if (mediaType.endsWith('tar+gzip')) paths.push(layout.pathOf(digest));
  }
  return paths;
}
