import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OciError } from './errors.ts';
import { formatReference, parseReference } from './reference.ts';

const HEX = 'a'.repeat(64);

describe('parseReference', () => {
  it.each([
    ['alpine', 'docker.io/library/alpine'],
    ['alpine:3.22', 'docker.io/library/alpine:3.22'],
    ['linuxkit/init:v1', 'docker.io/linuxkit/init:v1'],
    ['a/b/c', 'docker.io/a/b/c'],
    ['docker.io/alpine', 'docker.io/library/alpine'],
    ['index.docker.io/alpine', 'docker.io/library/alpine'],
    ['localhost/init', 'localhost/init'],
    ['localhost:5000/init:1', 'localhost:5000/init:1'],
    ['127.0.0.1:15001/default/lk', '127.0.0.1:15001/default/lk'],
    ['[::1]:5000/x/y', '[::1]:5000/x/y'],
    ['[::1]/x', '[::1]/x'],
    ['quay.io/team/app', 'quay.io/team/app'],
    ['Registry/app', 'Registry/app'],
    [`init@sha256:${HEX}`, `docker.io/library/init@sha256:${HEX}`],
    [`r.example/init:v1@sha256:${HEX}`, `r.example/init:v1@sha256:${HEX}`],
    ['foo:5000', 'docker.io/library/foo:5000'],
    ['a__b/c--d.e_f', 'docker.io/a__b/c--d.e_f'],
  ])('reads %s as %s', (text, full) => {
    expect(formatReference(parseReference(text))).toBe(full);
  });

  it.each([
    ['', 'empty'],
    ['Alpine', 'lower case'],
    ['quay.io/Team/app', 'lower case'],
    ['a//b', 'empty component'],
    ['/a', 'empty component'],
    ['a:', 'tag'],
    ['a:-x', 'tag'],
    [`a:${'x'.repeat(129)}`, 'tag'],
    ['a@sha256:12', 'follows the @'],
    [`a@sha512:${HEX}${HEX}`, 'follows the @'],
    [`a@sha256:${HEX.toUpperCase()}`, 'follows the @'],
    ['host:0/a', 'port'],
    ['host:70000/a', 'port'],
    ['-host.example/a', 'host name'],
    ['a..b.example/x', 'host name'],
    ['a___b', 'component'],
    ['.a', 'component'],
    ['a b', 'component'],
    ['https://quay.io/a', ''],
    [`${'a/'.repeat(200)}b`, 'longer'],
    ['x'.repeat(1000), 'longer'],
  ])('refuses %j', (text, why) => {
    let thrown: unknown;
    try {
      parseReference(text);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(OciError);
    expect(thrown).toMatchObject({
      code: 'InvalidReference',
      message: expect.stringMatching(new RegExp(why)),
    });
  });

  it('throws nothing but its own error', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: fc.nat(0x10_ffff).map((point) => String.fromCodePoint(point)) }),
          fc.stringMatching(/^[a-z0-9.:@/[\]_-]{0,60}$/),
        ),
        (text) => {
          try {
            parseReference(text);
          } catch (error) {
            expect(error).toMatchObject({ code: 'InvalidReference' });
          }
        },
      ),
    );
  });

  it('reads back what it wrote', () => {
    const component = fc.stringMatching(/^[a-z0-9]{1,8}([._-][a-z0-9]{1,4})?$/);
    const reference = fc.record({
      registry: fc.constantFrom(
        'docker.io',
        'localhost',
        'localhost:5000',
        'quay.io',
        '[::1]:80',
        'a-b.example:65535',
      ),
      path: fc.array(component, { minLength: 2, maxLength: 4 }),
      tag: fc.option(fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}$/), { nil: undefined }),
      digest: fc.option(fc.stringMatching(/^sha256:[0-9a-f]{64}$/), { nil: undefined }),
    });
    fc.assert(
      fc.property(reference, ({ registry, path, tag, digest }) => {
        const text = `${registry}/${path.join('/')}${tag ? `:${tag}` : ''}${digest ? `@${digest}` : ''}`;
        const parsed = parseReference(text);
        expect(formatReference(parsed)).toBe(text);
        expect(parseReference(formatReference(parsed))).toEqual(parsed);
      }),
    );
  });
});
