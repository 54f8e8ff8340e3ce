import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parentOf } from '../initramfs/entry.ts';
import {
  type Adjustment,
  type IndexEntry,
  moved,
  overlay,
  TreeConflictError,
  type TreeLayer,
} from './overlay.ts';

/** `lib/` is a directory, `lib?` an implied one, `lib -> usr/lib` a symlink, `dev*` a device, all else a file. */
function index(text: string): IndexEntry {
  const [path = '', target] = text.split(' -> ');
  if (target !== undefined) return { path, type: 'symlink', target };
  if (text.endsWith('/')) return { path: text.slice(0, -1), type: 'directory' };
  if (text.endsWith('?')) return { path: text.slice(0, -1), type: 'implied' };
  if (text.endsWith('*')) return { path: text.slice(0, -1), type: 'special' };
  return { path: text, type: 'file' };
}
const NOTHING: Adjustment = { moves: [], removed: [], added: [] };
const layer = (name: string, ...entries: string[]): TreeLayer => ({ name, entries: entries.map(index) });

describe('overlay', () => {
  it('leaves trees alone that share nothing but directories', () => {
    const { adjustments, get } = overlay([layer('a', 'etc/', 'etc/x'), layer('b', 'etc/', 'etc/y')]);
    expect(adjustments).toEqual([
      { moves: [], removed: [], added: [] },
      { moves: [], removed: [], added: [] },
    ]);
    expect([get('etc'), get('etc/x'), get('etc/z')]).toEqual(['directory', 'file', undefined]);
  });

  it('takes replaced files, links and devices out of the lower tree', () => {
    const { adjustments } = overlay([
      layer('a', 'f', 'l -> x', 'd*', 'e/'),
      layer('b', 'f', 'l -> y', 'd*', 'e'),
    ]);
    expect(adjustments[0]?.removed).toEqual(['d', 'e', 'f', 'l']);
    expect(adjustments[1]?.removed).toEqual([]);
  });

  it('leaves out an implied directory where there is one already, whatever the order', () => {
    expect(overlay([layer('a', 'etc/'), layer('files', 'etc?', 'etc/x')]).adjustments[1]?.removed).toEqual([
      'etc',
    ]);
    const explicit = overlay([layer('a', 'etc?', 'etc/y'), layer('files', 'etc/')]);
    expect(explicit.adjustments.map(({ removed }) => removed)).toEqual([[], []]);
  });

  it.each([
    ['before', ['lib/', 'lib/modules/'], ['usr/', 'usr/lib/', 'lib -> usr/lib'], 0],
    ['after', ['usr/', 'usr/lib/', 'lib -> /usr/lib'], ['lib/', 'lib/modules/'], 1],
  ])('puts what lies in a directory %s a link where the link leads', (_, first, second, at) => {
    const { adjustments, get } = overlay([layer('a', ...first), layer('b', ...second)]);
    expect(adjustments[at]).toEqual({
      moves: [{ from: 'lib', to: 'usr/lib' }],
      removed: ['lib'],
      // What is unpacked first needs the folders that are yet to come.
      added: at === 0 ? ['usr', 'usr/lib'] : [],
    });
    expect(adjustments[1 - at]).toEqual({ moves: [], removed: [], added: [] });
    expect([get('lib'), get('usr/lib/modules'), get('lib/modules')]).toEqual([
      'symlink',
      'directory',
      undefined,
    ]);
  });

  it('follows links that lead to links', () => {
    const { adjustments } = overlay([
      layer('kernel', 'lib/', 'lib/modules/'),
      layer('init', 'usr/', 'usr/lib -> lib64', 'usr/lib64/', 'lib -> usr/lib'),
    ]);
    expect(adjustments[0]?.moves).toEqual([{ from: 'lib', to: 'usr/lib64' }]);
  });

  it('follows links that only the moved entries meet', () => {
    const { adjustments, get } = overlay([
      layer('kernel', 'lib/', 'lib/modules/', 'lib/modules/6.1/'),
      layer('init', 'opt/', 'usr/', 'usr/lib/', 'usr/lib/modules -> /opt', 'lib -> usr/lib'),
    ]);
    expect(moved('lib/modules/6.1', new Map(adjustments[0]?.moves.map(({ from, to }) => [from, to])))).toBe(
      'opt/6.1',
    );
    expect(get('opt/6.1')).toBe('directory');
    expect(get('usr/lib/modules')).toBe('symlink');
  });

  it('lets a link take the place of an empty directory', () => {
    const { adjustments } = overlay([layer('a', 'run/', 'var/run/'), layer('b', 'var/', 'var/run -> /run')]);
    expect(adjustments[0]).toEqual({ moves: [], removed: ['var/run'], added: [] });
  });

  it('replaces a link that leads nowhere by a directory', () => {
    const { adjustments } = overlay([layer('a', 'x -> /nowhere'), layer('b', 'x/', 'x/y')]);
    expect(adjustments[0]?.removed).toEqual(['x']);
  });

  it.each([
    ['a file', ['x/', 'x/y'], ['x']],
    ['a link that leads nowhere', ['x/', 'x/y'], ['x -> /nowhere']],
    ['a link to itself', ['x/', 'x/y'], ['x -> x']],
    ['a link into itself', ['x/', 'x/y/'], ['x -> x/y']],
    ['a link to the root', ['x/', 'x/y'], ['x -> /']],
  ])('refuses %s over a directory with something in it, naming both trees', (_, lower, upper) => {
    const conflict = (): unknown => overlay([layer('init[0]', ...lower), layer('files', ...upper)]);
    expect(conflict).toThrow(TreeConflictError);
    expect(conflict).toThrow(/"x\/y" of init\[0\] would be lost: "x" .* files/);
  });

  it('refuses one tree with two files for a path', () => {
    const layers = [
      layer('a', 'lib/', 'lib/x', 'usr/', 'usr/lib/', 'usr/lib/x'),
      layer('b', 'lib -> usr/lib'),
    ];
    expect(() => overlay(layers)).toThrow(/a has two entries for "usr\/lib\/x"/);
  });

  it('leaves every path but a directory in one tree, below directories alone', () => {
    const name = fc.constantFrom('a', 'b', 'c');
    const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'));
    const target = fc.option(fc.tuple(fc.constantFrom('', '/'), path).map(([root, rest]) => root + rest));
    const tree = fc.array(
      fc.tuple(path, fc.constantFrom('file', 'directory', 'symlink', 'special'), target),
      { maxLength: 8 },
    );
    fc.assert(
      fc.property(fc.array(tree.map(toTree), { maxLength: 4 }), (trees) => {
        const layers = trees.map((entries, at) => ({ name: `${at}`, entries }));
        let result: ReturnType<typeof overlay>;
        try {
          result = overlay(layers);
        } catch (error) {
          expect(error).toBeInstanceOf(TreeConflictError);
          return;
        }
        const seen = new Map<string, IndexEntry['type']>();
        layers.forEach(({ entries }, at) => {
          const adjustment = result.adjustments[at] ?? NOTHING;
          for (const path of adjustment.added) {
            expect(seen.get(path) ?? 'directory').toBe('directory');
            seen.set(path, 'directory');
          }
          const parents: string[] = [];
          const moves = new Map(adjustment.moves.map(({ from, to }) => [from, to]));
          for (const entry of entries) {
            const to = moved(entry.path, moves);
            if (adjustment.removed.includes(to)) continue;
            const type = entry.type === 'implied' ? 'directory' : entry.type;
            const before = seen.get(to);
            expect(before === undefined || (before === 'directory' && type === 'directory')).toBe(true);
            const parent = parentOf(to);
            if (parent !== undefined) parents.push(parent);
            seen.set(to, type);
          }
          for (const parent of parents) expect(seen.get(parent)).toBe('directory');
        });
      }),
      { numRuns: 2000 },
    );
  });
});

/** A tree as an image gives one: parents present, each path once. */
function toTree(list: readonly (readonly [string, string, string | null])[]): IndexEntry[] {
  const entries = new Map<string, IndexEntry>();
  for (const [path, type, target] of list) {
    const folders = path
      .split('/')
      .map((_, i, parts) => parts.slice(0, i).join('/'))
      .slice(1);
    if (
      folders.some(
        (folder) =>
          entries.has(folder) && !['directory', 'implied'].includes(entries.get(folder)?.type ?? ''),
      )
    )
      continue;
    if (entries.has(path)) continue;
    for (const folder of folders)
      if (!entries.has(folder)) entries.set(folder, { path: folder, type: 'implied' });
    entries.set(
      path,
      type === 'symlink' ? { path, type, target: target ?? '/' } : { path, type: type as 'file' },
    );
  }
  return [...entries.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}
