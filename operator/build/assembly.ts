import { setImmediate as othersFirst } from 'node:timers/promises';
import { directory } from '../linuxkit/entries.ts';
import type { AssemblyEnvironment } from './assembly-environment.ts';
import { type GeneratedEntry, generatedEntries, generatedIndex, mergeGenerated } from './generated.ts';
import { adjust, BOOT } from './image-tree.ts';
import { type DamagedPartError, type InitrdMember, type JoinedInitrd, joinMembers } from './initrd.ts';
import { chooseCompression, kernelVersions } from './kernel-image.ts';
import { kernelKey, kernelPart } from './kernel-part.ts';
import { cachedMember, makeLastMember, makeMember, memberHash, NO_ADJUSTMENT } from './member.ts';
import { OpenTrees } from './open-trees.ts';
import { type Adjustment, type IndexEntry, overlay, type TreeLayer } from './overlay.ts';
import { PLACED_AT_ONCE, pulledBytes, pullOrder } from './pull-order.ts';
import type { Compression } from './record.ts';
import { factsKey, joinedDatabases, treeFacts } from './root-facts.ts';
import { Slots } from './slots.ts';
import type { KernelSource, MemberSource, TreeSource } from './sources.ts';
import { parseKernelFacts, parseMemberFacts, parseTreeFacts, type TreeFacts } from './tree-facts.ts';
import type { WorkFile } from './work-file.ts';

/** What is to be put together. */
export interface AssemblyInput {
  readonly compression: 'auto' | Compression;
  readonly kernel: KernelSource;
  /** In the order in which they are unpacked, after the kernel's modules. */
  readonly trees: readonly TreeSource[];
  /** What the build itself adds for volumes and containers. */
  readonly bundles: readonly GeneratedEntry[];
  /** What the user adds; last of all. */
  readonly files: readonly GeneratedEntry[];
}

export interface Assembled extends JoinedInitrd {
  readonly compression: Compression;
  readonly kernel: WorkFile;
  readonly members: readonly InitrdMember[];
}

/**
 * Makes kernel and initrd of images whose digests are known: what earlier builds left in the cache
 * is taken from there, the rest is pulled. Nothing that is as large as an image is held in memory.
 */
export async function assemble(input: AssemblyInput, environment: AssemblyEnvironment): Promise<Assembled> {
  await using trees = new OpenTrees(environment);
  await announceMissing(input, trees, environment);

  const kernel = await kernelPart(input.kernel, trees, environment);
  const compression =
    input.compression === 'auto'
      ? chooseCompression(kernelVersions(kernel.index.map(({ path }) => path)))
      : input.compression;

  const facts = await neededFacts(input, trees, environment);
  const generated = allGenerated(input, facts);
  const layers = treeLayers(input, kernel.index, facts, generated);
  // Between long computations pulls go on: the thread that uncompresses soon runs out of what was received.
  await othersFirst();
  const laid = overlay(layers.map(({ layer }) => layer));
  const adjustmentOf = (source: MemberSource | undefined): Adjustment =>
    laid.adjustments[layers.findIndex((layer) => layer.source === source)] ?? NO_ADJUSTMENT;

  const outside = (path: string): boolean => isDirectory(laid.get(path));
  const placed = new Slots(PLACED_AT_ONCE);
  const make = (source: MemberSource): Promise<InitrdMember> => {
    const adjustment = adjustmentOf(source);
    const hash = memberHash(source, adjustment, compression);
    const options = { adjustment, compression, trees, outside };
    const made = (): Promise<InitrdMember> => makeMember(source, hash, options, environment);
    return source.place === '' ? made() : placed.run(pulledBytes(source), made);
  };
  const sources: readonly MemberSource[] = [input.kernel, ...input.trees];
  const members = await Promise.all(
    sources.map(async (source) => {
      const hash = memberHash(source, adjustmentOf(source), compression);
      return (await cachedMember(source, hash, environment)) ?? (await make(source));
    }),
  );
  const own = adjust(
    generated.map(({ entry }) => entry),
    adjustmentOf(undefined),
  );
  const last = await makeLastMember(own, compression, outside, environment);

  const remake = async (damaged: DamagedPartError): Promise<InitrdMember> => {
    const source = sources.find(({ name }) => name === damaged.member.name);
    if (source === undefined) throw damaged;
    await environment.cache?.damaged(damaged.part.stored);
    return make(source);
  };
  const microcode = kernel.microcode === undefined ? [] : [kernel.microcode];
  const joined = await joinMembers([...microcode, ...members, last], remake, environment);
  await environment.cache?.settled();
  return { compression, kernel: kernel.binary, ...joined };
}

function isDirectory(type: IndexEntry['type'] | undefined): boolean {
  return type === 'directory' || type === 'implied';
}

/** Begins to pull images that nothing in the cache can stand for. */
async function announceMissing(
  input: AssemblyInput,
  trees: OpenTrees,
  environment: AssemblyEnvironment,
): Promise<void> {
  const { cache } = environment;
  const known = async (source: MemberSource): Promise<boolean> => {
    if (cache === undefined) return false;
    if (source.kind === 'kernel')
      return (await cache.record(kernelKey(source), parseKernelFacts)) !== undefined;
    if (source.place === '') return (await cache.record(factsKey(source), parseTreeFacts)) !== undefined;
    const codecs: readonly Compression[] =
      input.compression === 'auto' ? ['zstd', 'gzip'] : [input.compression];
    const hashes = codecs.map((codec) => memberHash(source, NO_ADJUSTMENT, codec));
    const members = await Promise.all(hashes.map((hash) => cache.record(hash, parseMemberFacts)));
    return members.some((member) => member !== undefined);
  };
  const sources: readonly MemberSource[] = [input.kernel, ...input.trees];
  const missing = await Promise.all(sources.map(async (source) => !(await known(source))));
  pullOrder(sources.filter((_, index) => missing[index])).forEach((source) => trees.announce(source));
}

/** Facts of all trees at the root, and of those in whose folder something else is put. */
async function neededFacts(
  input: AssemblyInput,
  trees: OpenTrees,
  environment: AssemblyEnvironment,
): Promise<ReadonlyMap<TreeSource, TreeFacts>> {
  const facts = new Map<TreeSource, TreeFacts>();
  const paths = [...input.bundles, ...input.files].map(({ entry }) => entry.path);
  for (const source of input.trees.filter(({ place }) => place === '')) {
    const known = await treeFacts(source, trees, environment);
    facts.set(source, known);
    for (const { path } of known.index) if (path.startsWith('containers/')) paths.push(path);
  }
  for (const source of input.trees.filter(({ place }) => place !== '')) {
    const inside = `${source.place}/`;
    if (!paths.some((path) => path.startsWith(inside))) continue;
    facts.set(source, await treeFacts(source, trees, environment));
  }
  return facts;
}

/** Everything that the build adds: each path once, the user's files in the place of its own. */
function allGenerated(
  input: AssemblyInput,
  facts: ReadonlyMap<TreeSource, TreeFacts>,
): readonly GeneratedEntry[] {
  const own = generatedEntries([directory(BOOT), ...joinedDatabases([...facts.values()])]);
  return mergeGenerated([...own, ...input.bundles, ...input.files]);
}

function treeLayers(
  input: AssemblyInput,
  modules: TreeLayer['entries'],
  facts: ReadonlyMap<TreeSource, TreeFacts>,
  generated: readonly GeneratedEntry[],
): readonly { readonly source?: MemberSource; readonly layer: TreeLayer }[] {
  return [
    { source: input.kernel, layer: { name: input.kernel.name, entries: modules } },
    ...input.trees.flatMap((source) => {
      const entries = facts.get(source)?.index;
      return entries === undefined ? [] : [{ source, layer: { name: source.name, entries } }];
    }),
    { layer: { name: 'files', entries: generatedIndex(generated) } },
  ];
}
