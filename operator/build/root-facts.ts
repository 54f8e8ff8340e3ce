import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { APK_DATABASE } from '../linuxkit/constants.ts';
import { ancestors, directory, file, type PlannedEntry } from '../linuxkit/entries.ts';
import { limitExceeded } from '../oci/errors.ts';
import type { FileTree } from '../oci/file-tree.ts';
import type { AssemblyEnvironment } from './assembly-environment.ts';
import { hashOf } from './identity.ts';
import { indexOf, nodeBytes } from './image-tree.ts';
import { layoutKey } from './member.ts';
import type { OpenTrees } from './open-trees.ts';
import { ENGINE_SALTS } from './salts.ts';
import type { TreeSource } from './sources.ts';
import { parseTreeFacts, type TreeFacts } from './tree-facts.ts';

/** The database of Alpine packages is kept in memory; real ones have some hundred kilobytes. */
export const MAX_PACKAGE_DATABASE = 16 * 1024 * 1024;

/** Key of what is remembered of a tree. */
export function factsKey(source: TreeSource): string {
  const { image, kind, place } = source;
  const layout = layoutKey(source);
  return hashOf({ what: 'tree', salts: ENGINE_SALTS, image: image.digest, kind, place, ...layout });
}

/** What other trees must know of this one, from the cache if an earlier build left it there. */
export async function treeFacts(
  source: TreeSource,
  trees: OpenTrees,
  environment: Pick<AssemblyEnvironment, 'cache'>,
): Promise<TreeFacts> {
  const key = factsKey(source);
  const remembered = await environment.cache?.record(key, parseTreeFacts);
  if (remembered !== undefined) return remembered;
  const { files, tree } = await trees.open(source);
  const packages = source.kind === 'init' ? await packageDatabase(source, files) : undefined;
  const facts: TreeFacts = { index: indexOf(tree), ...(packages === undefined ? {} : { packages }) };
  environment.cache?.keep(key, facts, []);
  return facts;
}

/** The databases of all init images as one, since each image brings only its own packages. */
export function joinedDatabases(facts: readonly TreeFacts[]): readonly PlannedEntry[] {
  const databases = facts.flatMap(({ packages }) => (packages === undefined ? [] : [packages]));
  if (databases.length < 2) return [];
  const text = databases.map((database) => `${database}\n\n`).join('');
  const folders = ancestors(APK_DATABASE).map((path) => directory(path, 0o755, true));
  return [...folders, { ...file(APK_DATABASE, text), mtime: 0 }];
}

async function packageDatabase(source: TreeSource, files: FileTree): Promise<string | undefined> {
  // Where `lib` leads to `usr/lib`, the image has it there.
  const node = files.get(APK_DATABASE) ?? files.get(`usr/${APK_DATABASE}`);
  if (node?.type !== 'file') return undefined;
  if (node.size > MAX_PACKAGE_DATABASE) {
    throw limitExceeded('MAX_PACKAGE_DATABASE', MAX_PACKAGE_DATABASE, `${source.name}: ${APK_DATABASE}`);
  }
  return (await buffer(Readable.from(nodeBytes(node)))).toString();
}
