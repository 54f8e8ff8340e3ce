import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { messageOf } from '../../operator/errors.ts';
import { cacheFolder } from '../tools/cache.ts';
import type { Component } from './component.ts';
import { COMPONENTS } from './components/catalogue.ts';
import { ImageError } from './image-error.ts';
import { OciLayout } from './oci-layout.ts';
import { isPublished, type PushTarget, pushImage } from './oci-push.ts';
import { type WrittenImage, writeImage } from './oci-writer.ts';
import { digestOf, Workshop } from './workshop.ts';

/** What a caller wants to know of the progress: which image of how many, and what happens to it. */
export type PublishReporter = (step: {
  readonly index: number;
  readonly count: number;
  readonly image: string;
  readonly action: 'making' | 'pushing' | 'present';
}) => void;

export interface PublishOptions {
  readonly cache?: string;
  readonly report?: PublishReporter;
  readonly signal?: AbortSignal;
  /** Repositories to publish, such as `linuxkit/init`; all without it. */
  readonly only?: readonly string[];
}

/**
 * Makes the component images that are not in the cache yet and pushes to the registry
 * (`host:port`, plain HTTP) what it lacks. Gives the references published, by repository.
 */
export async function publishComponents(
  registry: string,
  options: PublishOptions = {},
): Promise<ReadonlyMap<string, string>> {
  const { chosen, cache, workshop } = await openWorkshop(options);
  const published = new Map<string, string>();
  for (const [index, component] of chosen.entries()) {
    const image = `${component.repository}:${component.tag}`;
    const step = (action: 'making' | 'pushing' | 'present'): void =>
      options.report?.({ index, count: chosen.length, image, action });
    const written = await makeComponent(component, workshop, cache, () => step('making'));
    const target: PushTarget = { registry, repository: component.repository, tag: component.tag };
    if (await isPublished(written, target, options.signal)) {
      step('present');
    } else {
      step('pushing');
      await pushImage(written, target, options.signal);
    }
    published.set(component.repository, `${registry}/${image}`);
  }
  return published;
}

/** Makes the component images that are not in the cache yet. */
export async function makeComponents(options: Omit<PublishOptions, 'only'>): Promise<void> {
  const { chosen, cache, workshop } = await openWorkshop(options);
  for (const [index, component] of chosen.entries()) {
    const image = `${component.repository}:${component.tag}`;
    await makeComponent(component, workshop, cache, () =>
      options.report?.({ index, count: chosen.length, image, action: 'making' }),
    );
  }
}

async function openWorkshop(options: PublishOptions): Promise<{
  readonly chosen: readonly Component[];
  readonly cache: string;
  readonly workshop: Workshop;
}> {
  const chosen = COMPONENTS.filter((component) => options.only?.includes(component.repository) ?? true);
  const cache = options.cache ?? cacheFolder();
  const workshop = new Workshop(cache, options.signal ?? new AbortController().signal);
  // One question to apt for all of them.
  await workshop.packages.resolve([...new Set(chosen.flatMap((component) => component.packages))]);
  return { chosen, cache, workshop };
}

/** One component image, made if the cache lacks it. */
export async function componentImage(component: Component, signal: AbortSignal): Promise<WrittenImage> {
  const cache = cacheFolder();
  return await makeComponent(component, new Workshop(cache, signal), cache, () => undefined);
}

async function makeComponent(
  component: Component,
  workshop: Workshop,
  cache: string,
  onMake: () => void,
): Promise<WrittenImage> {
  const layout = new OciLayout(join(cache, 'images'));
  const record = join(cache, 'images', 'made', `${await inputsDigest(component, workshop)}.json`);
  const known = await readFile(record, 'utf8').catch(() => undefined);
  if (known !== undefined) {
    const written = { ...(JSON.parse(known) as Omit<WrittenImage, 'layout'>), layout };
    const digests = [...written.content, written.descriptor].map((descriptor) => descriptor.digest);
    if ((await Promise.all(digests.map((digest) => layout.has(digest)))).every(Boolean)) return written;
  }
  onMake();
  const written = await workshop.withScratch(async (scratch) =>
    writeImage(layout, await component.make(workshop, scratch), workshop.signal),
  );
  await mkdir(dirname(record), { recursive: true });
  const { layout: _, ...rest } = written;
  await writeFile(`${record}.${process.pid}`, JSON.stringify(rest));
  await rename(`${record}.${process.pid}`, record);
  return written;
}

/** Hash of all that determines an image: its recipe, the guest's files, packages, and this folder's writers. */
async function inputsDigest(component: Component, workshop: Workshop): Promise<string> {
  const hash = createHash('sha256');
  hash.update(`${component.repository}:${component.tag}\0${process.versions.node}\0`);
  const writers = [
    'tar-header.ts',
    'tarball.ts',
    'entry.ts',
    'oci-writer.ts',
    'disk-tree.ts',
    'debian/libraries.ts',
  ];
  const sources = [
    fileURLToPath(component.recipe),
    ...writers.map((name) => fileURLToPath(new URL(name, import.meta.url))),
    ...(component.guest ?? []).map((path) => workshop.guest(path)),
  ];
  for (const source of sources) hash.update(`${await digestOf(source)}\0`);
  for (const record of await workshop.packages.resolve(component.packages)) {
    hash.update(`${record.name} ${record.version} ${record.sha256}\0`);
  }
  return hash.digest('hex').slice(0, 32);
}

async function main(args: readonly string[]): Promise<void> {
  const [registry, ...only] = args;
  if (registry === undefined) {
    throw new ImageError('CommandLine', 'usage: node e2e/images/publish.ts HOST:PORT [REPOSITORY…]');
  }
  const interrupted = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => interrupted.abort());
  await publishComponents(registry, {
    ...(only.length === 0 ? {} : { only }),
    signal: interrupted.signal,
    report: ({ index, count, image, action }) => {
      process.stdout.write(`[${index + 1}/${count}] ${image}: ${action}\n`);
    },
  });
}

if (import.meta.main) {
  main(process.argv.slice(2)).catch((thrown: unknown) => {
    process.stderr.write(`publish: ${messageOf(thrown)}\n`);
    process.exitCode = 1;
  });
}
