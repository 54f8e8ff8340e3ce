import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { digest, SCANNED, statement } from './examples.ts';
import { parseSbomStatement, sbomLayers } from './sbom-statement.ts';

const image = digest('image');

describe('layers of an attestation manifest', () => {
  const layer = (mediaType: string, predicate?: string) => ({
    mediaType,
    digest: digest(`${mediaType}${predicate}`),
    size: 1,
    ...(predicate === undefined ? {} : { annotations: { 'in-toto.io/predicate-type': predicate } }),
  });
  const inToto = 'application/vnd.in-toto+json';

  it('that hold SPDX documents are told by type and annotation', () => {
    const sbom = layer(inToto, 'https://spdx.dev/Document');
    const versioned = layer(inToto, 'https://spdx.dev/Document/v2.3');
    const layers = [
      layer(inToto, 'https://slsa.dev/provenance/v0.2'),
      sbom,
      layer(inToto),
      layer('application/json', 'https://spdx.dev/Document'),
      layer(inToto, 'https://spdx.dev/Documentation'),
      versioned,
    ];
    expect(sbomLayers(layers)).toEqual([sbom, versioned]);
  });
});

describe('a statement', () => {
  it('gives the document that it holds', () => {
    const parsed = parseSbomStatement(statement(image, SCANNED), image);
    expect(parsed).toMatchObject({
      sbom: { packages: [{ name: 'sbom' }, { name: 'busybox' }], described: ['SPDXRef-DocumentRoot'] },
    });
    // Of its four relationships one is the document's own, and one leads to another document.
    expect('sbom' in parsed && parsed.sbom.relationships).toHaveLength(2);
  });

  const deep = `{"predicate":${'['.repeat(100)}"]"${']'.repeat(100)}}`;
  it.each([
    ['text', Buffer.from('text'), 'is not JSON'],
    ['bytes that are no UTF-8', Buffer.from([0x22, 0xff, 0x22]), 'is not JSON'],
    ['another kind of JSON', Buffer.from('{"_type":"x"}'), 'is no in-toto statement'],
    [
      'another predicate',
      statement(image, SCANNED, { predicateType: 'https://slsa.dev/provenance/v1' }),
      'holds no SPDX document',
    ],
    ['another subject', statement(digest('other'), SCANNED), 'is about another image'],
    ['no subject', statement(image, SCANNED, { subject: [null, { digest: 7 }] }), 'is about another image'],
    ['deep nesting', Buffer.from(deep), 'is nested deeper than MAX_JSON_DEPTH (64)'],
    [
      'SPDX 3',
      statement(image, { ...SCANNED, spdxVersion: 'SPDX-3.0' }),
      'is no SPDX document: spdxVersion: must be SPDX-2.2 or SPDX-2.3',
    ],
    [
      'an element without an id',
      statement(image, { ...SCANNED, packages: [{ name: 'x' }] }),
      'is no SPDX document: packages.0.SPDXID: Invalid input: expected string, received undefined',
    ],
    [
      'one id for two elements',
      statement(image, { ...SCANNED, files: [{ SPDXID: 'SPDXRef-DocumentRoot', fileName: 'x' }] }),
      'is no SPDX document: two elements have the same id',
    ],
  ])('with %s is not used, and says why', (_, bytes, problem) => {
    expect(parseSbomStatement(bytes, image)).toEqual({ problem });
  });

  it('is never a reason to fail, whatever it holds', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.string(), (predicate, text) => {
        for (const bytes of [statement(image, predicate), Buffer.from(text)]) {
          const parsed = parseSbomStatement(bytes, image);
          expect('problem' in parsed || 'sbom' in parsed).toBe(true);
        }
      }),
    );
  });
});
