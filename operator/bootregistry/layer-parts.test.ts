import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type BootLayerFrame, bootLayerSize } from '../oci/boot-image.ts';
import { partsOf } from './layer-parts.ts';

const frameOf = (header: number, objectSize: number, zeros: number): BootLayerFrame => ({
  header: Buffer.alloc(header, 'h'),
  objectSize,
  zeros,
});

describe('partsOf', () => {
  it('takes a whole layer apart', () => {
    const parts = partsOf(frameOf(512, 10, 1526), { first: 0, last: 2047 });
    expect(parts).toEqual([
      { kind: 'bytes', bytes: Buffer.alloc(512, 'h') },
      { kind: 'object', range: { first: 0, last: 9 } },
      { kind: 'zeros', count: 1526 },
    ]);
  });

  it('leaves out what the range does not touch', () => {
    const frame = frameOf(512, 10, 1526);
    expect(partsOf(frame, { first: 512, last: 521 })).toEqual([
      { kind: 'object', range: { first: 0, last: 9 } },
    ]);
    expect(partsOf(frame, { first: 522, last: 522 })).toEqual([{ kind: 'zeros', count: 1 }]);
    expect(partsOf(frame, { first: 0, last: 0 })).toEqual([{ kind: 'bytes', bytes: Buffer.from('h') }]);
  });

  it('gives the same bytes as a slice of the whole, for any layer and range', () => {
    const part = fc.nat(40);
    fc.assert(
      fc.property(part, part, part, fc.nat(), fc.nat(), (header, objectSize, zeros, one, other) => {
        const frame = frameOf(header, objectSize, zeros);
        const size = bootLayerSize(frame);
        if (size === 0) return;
        const object = Buffer.from(Array.from({ length: objectSize }, (_, index) => 128 + index));
        const whole = Buffer.concat([frame.header, object, Buffer.alloc(zeros)]);
        const range = { first: Math.min(one % size, other % size), last: Math.max(one % size, other % size) };
        const bytes = partsOf(frame, range).map((piece) => {
          switch (piece.kind) {
            case 'bytes':
              return piece.bytes;
            case 'object':
              return object.subarray(piece.range.first, piece.range.last + 1);
            case 'zeros':
              return Buffer.alloc(piece.count);
          }
        });
        expect(Buffer.concat(bytes)).toEqual(whole.subarray(range.first, range.last + 1));
      }),
    );
  });
});
