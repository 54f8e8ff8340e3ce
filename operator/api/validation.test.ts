import { describe, expect, test } from 'vitest';
import { parseImage } from './image.ts';
import { parseMachine } from './machine.ts';
import { ObjectError } from './object.ts';
import {
  type Json,
  RIGHT_OBJECTS,
  validImage,
  validMachine,
  WRONG_IMAGES,
  WRONG_MACHINES,
} from './wrong-objects.ts';

function parse(object: Json): unknown {
  return object['kind'] === 'LinuxKitImage' ? parseImage(object) : parseMachine(object);
}

describe('refused without an API server', () => {
  test.each([...WRONG_IMAGES, ...WRONG_MACHINES].filter((wrong) => wrong.serverOnly !== true))(
    '$title',
    ({ object, field }) => {
      expect(() => parse(object)).toThrow(ObjectError);
      expect(() => parse(object)).toThrow(`${field}: `);
    },
  );
});

describe('taken', () => {
  test.each(RIGHT_OBJECTS)('$title', ({ object }) => {
    expect(parse(object)).toMatchObject({ kind: object['kind'], metadata: { name: 'web' } });
  });
});

test('fills in the defaults that the CRD has', () => {
  expect(parseImage(validImage({ build: {} })).spec).toMatchObject({
    architecture: 'amd64',
    compression: 'auto',
    historyLimit: 3,
    deletionPolicy: 'Delete',
    suspend: false,
    build: { timeout: '30m', retries: 2 },
  });
  expect(parseMachine(validMachine({ update: {}, cpu: {}, network: {} })).spec).toMatchObject({
    replicas: 1,
    runStrategy: 'Always',
    cpu: { cores: 1, sockets: 1, threads: 1 },
    network: { pod: true },
    update: { maxUnavailable: 1, minReadySeconds: 0 },
  });
});

test('leaves aside what a later version knows', () => {
  const object = validImage({ later: true }, { later: true });
  expect(parseImage({ ...object, status: { later: 1, observedGeneration: 2 } })).toMatchObject({
    status: { observedGeneration: 2 },
  });
});

test('names every field at fault, and says when there are more', () => {
  const services = Array.from({ length: 12 }, (_, index) => ({ name: `bad/${index}`, image: 'a' }));
  expect(() => parseImage(validImage({}, { services }))).toThrow(
    /services\[0\]\.name.*services\[9\]\.name.*and 2 more/,
  );
});

test('takes nothing for an object that is none', () => {
  for (const value of [null, undefined, 1, 'x', [], { kind: 'LinuxKitImage' }]) {
    expect(() => parseImage(value)).toThrow(ObjectError);
  }
});
