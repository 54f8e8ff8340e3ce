import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FileNode } from './file-tree.ts';
import { flatten } from './flatten.ts';
import type { IndexedLayer } from './layer-index.ts';
import type { Spool } from './spool.ts';
import type { IndexedTarEntry, TarEntryType } from './tar/entry.ts';
import { FLATTEN_LIMITS } from './tree-order.ts';
import { sha256Digest } from './types.ts';

/** `d etc`, `f etc/x`, `l lib -> usr/lib`, `h a = b`; a leading number is the mode. */
function entry(line: string): Partial<IndexedTarEntry> & { readonly path: string } {
  const [, kind = '', path = '', , linkTarget = ''] = /^(.) (\S+)(?: (->|=) (\S+))?$/.exec(line) ?? [];
  const types: Record<string, TarEntryType> = {
    d: 'directory',
    f: 'file',
    l: 'symlink',
    h: 'hardlink',
    c: 'character',
  };
  return { path, type: types[kind] ?? 'file', linkTarget };
}

/** A spool that is only compared by identity: flattening never reads. */
function spool(): Spool {
  return { size: 0 } as Spool;
}

function layer(digit: number, lines: readonly (string | Partial<IndexedTarEntry>)[]): IndexedLayer {
  const digest = sha256Digest(String(digit % 10).repeat(64));
  const entries = lines.map((line, offset) => ({
    path: '',
    type: 'file' as const,
    mode: 0o644,
    uid: 0,
    gid: 0,
    mtime: digit,
    size: 1,
    linkTarget: '',
    devMajor: 0,
    devMinor: 0,
    offset,
    ...(typeof line === 'string' ? entry(line) : line),
  }));
  return { digest, diffId: digest, entries, spool: spool() };
}

function tree(...layers: readonly (readonly (string | Partial<IndexedTarEntry>)[])[]) {
  return flatten(layers.map((lines, at) => layer(at + 1, lines)));
}

/** One line a node: `path`, then its layer (by mtime), then what it is if not a plain file. */
function show(node: FileNode): string {
  const layerOf = `${node.path}@${node.mtime}`;
  const link = node.hardLinkTo === undefined ? '' : ` = ${node.hardLinkTo}`;
  switch (node.type) {
    case 'directory':
      return `${layerOf}/${node.implicit ? ' implicit' : ''}`;
    case 'symlink':
      return `${layerOf} -> ${node.target}${link}`;
    case 'file':
      return layerOf + link;
    default:
      return `${layerOf} ${node.type}`;
  }
}

describe('flatten', () => {
  it.each<[string, string[][], string[]]>([
    ['one layer', [['d ./etc/', 'f ./etc/a', 'l bin -> usr/bin']], ['bin@1 -> usr/bin', 'etc@1/', 'etc/a@1']],
    ['parents first, whatever the order', [['f a/b/c', 'd a/b', 'd a']], ['a@1/', 'a/b@1/', 'a/b/c@1']],
    [
      'siblings by name, children before the next sibling',
      [['d a', 'f a-b', 'f a/z']],
      ['a@1/', 'a/z@1', 'a-b@1'],
    ],
    ['orphans', [['f x/y/z']], ['x@0/ implicit', 'x/y@0/ implicit', 'x/y/z@1']],
    ['a directory that comes later', [['f x/y'], ['d x']], ['x@2/', 'x/y@1']],
    ['absolute names', [['f /etc/a']], ['etc@0/ implicit', 'etc/a@1']],
    ['a file replaced', [['f a'], ['f a']], ['a@2']],
    ['a file replaced in its own layer', [['f a', 'l a -> b']], ['a@1 -> b']],
    ['a directory replaced by a file', [['d a', 'f a/b'], ['f a']], ['a@2']],
    ['a file replaced by a directory', [['f a'], ['d a', 'f a/b']], ['a@2/', 'a/b@2']],
    [
      'a symbolic link replaced by a directory',
      [
        ['d r', 'f r/x', 'l a -> r'],
        ['d a', 'f a/b'],
      ],
      ['a@2/', 'a/b@2', 'r@1/', 'r/x@1'],
    ],
    [
      'a directory merged',
      [
        ['d a', 'f a/b'],
        ['d a', 'f a/c'],
      ],
      ['a@2/', 'a/b@1', 'a/c@2'],
    ],
    ['a whiteout', [['d a', 'f a/b', 'f a/c'], ['f a/.wh.b']], ['a@1/', 'a/c@1']],
    ['a whiteout of a directory', [['d a', 'f a/b', 'f c'], ['f .wh.a']], ['c@1']],
    ['a whiteout of nothing', [['f a'], ['f b/.wh.c', 'f .wh.d']], ['a@1']],
    [
      'a whiteout after what its own layer adds',
      [
        ['d a', 'f a/b'],
        ['d a', 'f a/n', 'f .wh.a'],
      ],
      ['a@2/', 'a/n@2'],
    ],
    ['a whiteout in the lowest layer', [['f a', 'f .wh.a']], ['a@1']],
    [
      'an opaque directory',
      [
        ['d a', 'f a/b', 'd a/s', 'f a/s/t'],
        ['d a', 'f a/.wh..wh..opq', 'f a/n'],
      ],
      ['a@2/', 'a/n@2'],
    ],
    [
      'an opaque mark after its siblings',
      [
        ['d a', 'f a/b'],
        ['f a/n', 'f a/.wh..wh..opq'],
      ],
      ['a@1/', 'a/n@2'],
    ],
    [
      'an opaque root',
      [
        ['f a', 'd b'],
        ['f .wh..wh..opq', 'f c'],
      ],
      ['c@2'],
    ],
    [
      'recreated after a whiteout in between',
      [['d a', 'f a/b'], ['f .wh.a'], ['d a', 'f a/c']],
      ['a@3/', 'a/c@3'],
    ],
    ['what AUFS left', [['f .wh..wh.aufs', 'd .wh..wh.plnk', 'f .wh..wh.plnk/1.2', 'f a']], ['a@1']],
    [
      'a linked parent',
      [['d usr', 'd usr/lib', 'l lib -> usr/lib'], ['f lib/x']],
      ['lib@1 -> usr/lib', 'usr@1/', 'usr/lib@1/', 'usr/lib/x@2'],
    ],
    [
      'an absolute linked parent',
      [['d usr', 'l a -> /usr'], ['f a/x']],
      ['a@1 -> /usr', 'usr@1/', 'usr/x@2'],
    ],
    [
      'a linked parent that climbs out stays inside',
      [['l a -> ../../../b', 'f a/x']],
      ['a@1 -> ../../../b', 'b@0/ implicit', 'b/x@1'],
    ],
    [
      'a whiteout through a link',
      [['d u', 'f u/x', 'f u/y', 'l a -> u'], ['f a/.wh.x']],
      ['a@1 -> u', 'u@1/', 'u/y@1'],
    ],
    ['hard links', [['f b', 'h a = b', 'h c = ./a']], ['a@1', 'b@1 = a', 'c@1 = a']],
    ['a hard link with an absolute target', [['f b', 'h c = /b']], ['b@1', 'c@1 = b']],
    ['a hard link into a lower layer', [['f b'], ['h c = b']], ['b@1', 'c@1 = b']],
    ['a hard link whose first name goes', [['f b', 'h c = b'], ['f .wh.b']], ['c@1']],
    ['a hard link whose first name is replaced', [['f b', 'h c = b'], ['f b']], ['b@2', 'c@1']],
    [
      'a hard link over a directory',
      [
        ['d a', 'f a/b', 'f t'],
        ['h a = t', 'f n'],
      ],
      ['a@1', 'n@2', 't@1 = a'],
    ],
    ['a hard link to a symbolic link', [['l b -> x', 'h c = b']], ['b@1 -> x', 'c@1 -> x = b']],
    ['a device', [['c dev/null']], ['dev@0/ implicit', 'dev/null@1 character']],
  ])('%s', (_, layers, expected) => {
    expect(Array.from(tree(...layers).nodes(), show)).toEqual(expected);
  });

  it('counts links and shares the body', () => {
    const nodes = [...tree(['f a', 'h b = a', 'h c = a'], ['f .wh.b']).nodes()];
    const [a, c] = nodes;
    expect(nodes).toHaveLength(2);
    expect(a).toMatchObject({ links: 2, body: { offset: 0 } });
    expect(c).toMatchObject({ links: 2, hardLinkTo: 'a', body: a?.type === 'file' ? a.body : undefined });
  });

  it('keeps the root out of the nodes', () => {
    const result = tree([{ path: './', type: 'directory', mode: 0o700 }, 'f a']);
    expect(Array.from(result.nodes(), show)).toEqual(['a@1']);
  });

  it('finds a node by its path', () => {
    const result = tree(['f etc/a']);
    expect(result.get('etc/a')).toEqual([...result.nodes()][1]);
    for (const path of ['etc/b', 'etc/a/b', '/etc/a', '']) expect(result.get(path)).toBeUndefined();
  });

  it.each<[string, string[][], RegExp]>([
    ['a climbing name', [['f a/../../etc/passwd']], /^UnsafePath: layer sha256:1{64}: .*passwd/],
    ['a climbing hard link', [['h a = ../x']], /^UnsafePath/],
    ['a climbing whiteout', [['f x/.wh...']], /^UnsafePath/],
    ['a reserved name as a directory', [['f .wh.a/b']], /^UnsafePath: .*reserved/],
    ['a whiteout of nothing at all', [['f .wh.']], /^UnsafePath/],
    ['a hard link to nothing', [['h a = b']], /^InvalidLayer: .*"b", which does not exist/],
    ['a hard link to a directory', [['d b', 'h a = b']], /^InvalidLayer: .*directory/],
    ['a hard link to itself', [['f a', 'h a = a']], /^InvalidLayer: .*itself/],
    [
      'a file as a parent',
      [['f a'], ['f a/b']],
      /^InvalidLayer: layer sha256:2{64}: .*"a" cannot: .*"a", a file/,
    ],
    ['links in a circle', [['l a -> b', 'l b -> a', 'f a/x']], /^InvalidLayer: .*never end/],
    ['a link to itself', [['l a -> a', 'f a/x']], /^InvalidLayer: .*never end/],
    ['a file for a root', [['f ./']], /^InvalidLayer: .*root/],
  ])('refuses %s', (_, layers, message) => {
    expect(() => tree(...layers)).toThrow(
      expect.toSatisfy((error: { code: string; message: string }) =>
        message.test(`${error.code}: ${error.message}`),
      ),
    );
  });

  it('holds to its limits', () => {
    const two = layer(1, ['f a', 'f b']);
    expect(() => flatten([two], { ...FLATTEN_LIMITS, maxTreeNodes: 1 })).toThrow(/maxTreeNodes/);
    expect(() => flatten([two], { ...FLATTEN_LIMITS, maxTreePathLength: 1 })).toThrow(/maxTreePathLength/);
    // Each link leads to the deep end of the one before, so that paths grow beyond what any name says.
    const deep = Array.from({ length: 4 }, (_, at) => [
      `l s${at + 1} -> s${at}/${'d/'.repeat(1000)}`,
      `f s${at + 1}/x`,
    ]).flat();
    expect(() => tree(['d s0', ...deep])).toThrow(/MAX_PATH_LENGTH/);
  });

  it('gives an ordered tree or a coded error for any layers', () => {
    const component = fc.constantFrom('a', 'b', 'c', '.');
    const last = fc.constantFrom('a', 'b', 'c', '.wh.a', '.wh..wh..opq', '..');
    const path = fc
      .tuple(fc.array(component, { maxLength: 3 }), last)
      .map(([parts, base]) => [...parts, base].join('/'));
    const anyEntry = fc.record({
      path,
      type: fc.constantFrom<TarEntryType>('file', 'directory', 'symlink', 'hardlink'),
      linkTarget: fc
        .array(fc.oneof(component, fc.constant('..')), { maxLength: 4 })
        .map((parts) => parts.join('/')),
    });
    const layers = fc.array(fc.array(anyEntry, { maxLength: 8 }), { maxLength: 4 });
    fc.assert(
      fc.property(layers, (input) => {
        let nodes: readonly FileNode[];
        try {
          nodes = [...tree(...input).nodes()];
        } catch (error) {
          expect(['UnsafePath', 'InvalidLayer']).toContain((error as { code: unknown }).code);
          return;
        }
        const seen = new Map<string, FileNode>();
        for (const node of nodes) {
          const slash = node.path.lastIndexOf('/');
          if (slash > 0) expect(seen.get(node.path.slice(0, slash))?.type).toBe('directory');
          if (node.hardLinkTo !== undefined) expect(seen.get(node.hardLinkTo)?.links).toBe(node.links);
          expect(seen.has(node.path)).toBe(false);
          expect(node.path.split('/').some((part) => part === '' || part.startsWith('.'))).toBe(false);
          seen.set(node.path, node);
        }
      }),
      { numRuns: 500 },
    );
  });
});
