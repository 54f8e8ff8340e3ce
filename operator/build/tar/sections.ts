import type { Entry } from '../../initramfs/entry.ts';
import type { BundlePlan } from '../../linuxkit/bundle.ts';
import { BUILD_TIME } from '../../linuxkit/constants.ts';
import { directory, file, type PlannedEntry } from '../../linuxkit/entries.ts';
import { expandReference } from '../../linuxkit/references.ts';
import type { RegularFileNode } from '../../oci/file-tree.ts';
import { generatedEntries } from '../generated.ts';
import { BOOT, type ImageTree, nodeBytes } from '../image-tree.ts';
import type { OpenTrees } from '../open-trees.ts';
import type { PreparedBuild } from '../prepare.ts';
import { joinedDatabases, treeFacts } from '../root-facts.ts';
import type { KernelSource, TreeSource } from '../sources.ts';

/** Entries of the archive that come of one place of the configuration. */
export interface TarSection extends ImageTree {
  /** LinuxKit's name of the place, as its tool records it with every entry. */
  readonly location: string;
  /** The image that the entries are of, as LinuxKit writes it. */
  readonly source?: string;
}

/**
 * What an archive of the root file system holds before the user's own files, in LinuxKit's order: kernel,
 * init images, volumes, containers. Each with the entries that the build makes for it.
 */
export async function imageSections(
  { plan, images }: Pick<PreparedBuild, 'plan' | 'images'>,
  bundles: readonly BundlePlan[],
  [kernel, ...sources]: readonly [KernelSource, ...TreeSource[]],
  trees: OpenTrees,
): Promise<readonly TarSection[]> {
  const treeAt = async (location: string): Promise<ImageTree> => {
    const source = sources.find(({ name }) => name === location);
    return source === undefined ? NO_TREE : (await trees.open(source)).tree;
  };
  const references = new Map(images.inputs.map(({ location, reference }) => [location, reference]));
  const section = async (location: string, made: readonly PlannedEntry[]): Promise<TarSection> => {
    const reference = references.get(location);
    return {
      location,
      ...(reference === undefined ? {} : { source: expandReference(reference) }),
      ...withMade(await treeAt(location), made),
    };
  };
  const sections = [await kernelSection(kernel, trees)];
  for (const { location } of plan.init) sections.push(await section(location, []));
  sections.push(...(await databaseSection(sources, trees)));
  for (const { location, entries } of plan.volumes) sections.push(await section(location, entries));
  for (const { step, entries } of bundles) sections.push(await section(step.location, entries));
  return sections;
}

const NO_TREE: ImageTree = { entries: [], implied: new Set() };

/** A tree, and what the build adds to it. Folders that both have are the same. */
function withMade(tree: ImageTree, made: readonly PlannedEntry[]): ImageTree {
  const present = new Set(tree.entries.map(({ path }) => path));
  const added = generatedEntries(made).filter(({ entry }) => !present.has(entry.path));
  return {
    entries: [...tree.entries, ...added.map(({ entry }) => entry)],
    implied: new Set([
      ...tree.implied,
      ...added.flatMap(({ entry, implied }) => (implied ? [entry.path] : [])),
    ]),
  };
}

/** Kernel, command line and microcode below `boot`, as they are, and the modules. */
async function kernelSection(source: KernelSource, trees: OpenTrees): Promise<TarSection> {
  const { kernel, tree } = await trees.openKernel(source);
  const made = generatedEntries([directory(BOOT), file(`${BOOT}/cmdline`, source.step.cmdline)]);
  const microcode = kernel.ucode === undefined ? [] : [bootFile('ucode.cpio', kernel.ucode)];
  return {
    location: source.name,
    source: expandReference(source.step.image),
    entries: [
      ...made.map(({ entry }) => entry),
      bootFile('kernel', kernel.binary),
      ...microcode,
      ...tree.entries,
    ],
    implied: tree.implied,
  };
}

function bootFile(name: string, node: RegularFileNode): Entry {
  return {
    type: 'file',
    path: `${BOOT}/${name}`,
    mode: node.mode,
    uid: 0,
    gid: 0,
    mtime: BUILD_TIME,
    size: node.size,
    content: nodeBytes(node),
  };
}

async function databaseSection(
  sources: readonly TreeSource[],
  trees: OpenTrees,
): Promise<readonly TarSection[]> {
  const init = sources.filter(({ kind }) => kind === 'init');
  const facts = await Promise.all(init.map((source) => treeFacts(source, trees, { cache: undefined })));
  const made = joinedDatabases(facts);
  return made.length === 0
    ? []
    : [{ location: 'init', source: 'LINUXKIT.apkinit', ...withMade(NO_TREE, made) }];
}
