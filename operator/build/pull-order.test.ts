import { describe, expect, it } from 'vitest';
import { type Digest, type ResolvedImage, sha256Digest } from '../oci/types.ts';
import { pullOrder } from './pull-order.ts';
import type { MemberSource, TreeSource } from './sources.ts';

const digest = (name: string): Digest => sha256Digest(Buffer.from(name).toString('hex').padEnd(64, '0'));

/** A source whose layers are `name:bytes`. */
function source(name: string, place: string, ...layers: readonly string[]): TreeSource {
  const image: ResolvedImage = {
    reference: { registry: 'registry.test', repository: name },
    digest: digest(name),
    config: { os: 'linux', architecture: 'amd64', config: {}, diffIds: [] },
    layers: layers.map((layer) => {
      const [blob = '', size] = layer.split(':');
      return {
        mediaType: 'application/vnd.oci.image.layer.v1.tar',
        digest: digest(blob),
        size: Number(size),
      };
    }),
  };
  return { name, kind: place === '' ? 'init' : 'bundle', image, place };
}

describe('pullOrder', () => {
  const cases: readonly (readonly [string, readonly MemberSource[], readonly string[]])[] = [
    ['of nothing is nothing', [], []],
    [
      'begins with what lies at the root, as it is configured',
      [source('a', '', 'a:1'), source('x', 'x', 'x:9'), source('b', '', 'b:5')],
      ['a', 'b', 'x'],
    ],
    [
      'goes on with the three largest of the others',
      [
        source('a', 'a', 'a:1'),
        source('b', 'b', 'b:2', 'c:9'),
        source('d', 'd', 'd:5'),
        source('e', 'e', 'e:7'),
      ],
      ['b', 'e', 'd'],
    ],
    [
      'has every image whose layers somebody else wants too',
      [
        source('init', '', 'base:9'),
        ...['a', 'b', 'c'].map((name) => source(name, name, `${name}:8`)),
        source('small', 'small', 'base:9', 'small:1'),
        source('tiny', 'tiny', 'tiny:1'),
        source('one', 'one', 'common:2'),
        source('two', 'two', 'common:2'),
      ],
      ['init', 'small', 'a', 'b', 'one', 'two'],
    ],
  ];

  it.each(cases)('%s', (_, sources, names) => {
    expect(pullOrder(sources).map(({ name }) => name)).toEqual(names);
  });
});
