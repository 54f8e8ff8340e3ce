import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import * as fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import type { ObjectInfo, ObjectSource, ObjectStore } from './store.ts';

/** Bytes as something to store; `announced` is what it claims to be when it lies. */
export function sourceOf(
  bytes: Buffer,
  announced: { size?: number; sha256?: string } = {},
): ObjectSource & { opened: number } {
  return {
    size: announced.size ?? bytes.length,
    sha256: announced.sha256 ?? sha256(bytes),
    opened: 0,
    open() {
      this.opened += 1;
      const middle = Math.ceil(bytes.length / 2);
      return Readable.from(
        [bytes.subarray(0, middle), bytes.subarray(middle)].filter((chunk) => chunk.length > 0),
      );
    },
  };
}

export function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export async function listed(store: ObjectStore, prefix: string): Promise<ObjectInfo[]> {
  const found: ObjectInfo[] = [];
  for await (const info of store.list(prefix, { signal: deadline() })) found.push(info);
  return found;
}

/** Every wait of a test ends. */
export function deadline(milliseconds = 30_000): AbortSignal {
  return AbortSignal.timeout(milliseconds);
}

/**
 * What every ObjectStore promises, whatever it is made of. `open` returns an empty store, once.
 * `runs` is how many random cases a property tries.
 */
export function describeStoreContract(
  name: string,
  options: { open: () => Promise<ObjectStore>; runs: number },
): void {
  describe(`${name} keeps the contract of ObjectStore`, () => {
    let store: ObjectStore;
    const signal = deadline(100_000);
    const read = async (key: string, range?: { first: number; last: number }) =>
      buffer((await store.get(key, { signal, ...(range === undefined ? {} : { range }) })).body);

    beforeAll(async () => {
      store = await options.open();
    });

    it('returns the bytes, size and SHA-256 of what was stored', async () => {
      const bytes = Buffer.from('a kernel');
      expect(await store.put('basic/kernel', sourceOf(bytes), { signal })).toBe('created');
      const expected = { key: 'basic/kernel', size: 8, sha256: sha256(bytes) };
      expect(await store.head('basic/kernel', { signal })).toMatchObject(expected);
      const { info, body } = await store.get('basic/kernel', { signal });
      expect(info).toMatchObject(expected);
      expect(await buffer(body)).toEqual(bytes);
    });

    it('stores an empty object', async () => {
      expect(await store.put('basic/empty', sourceOf(Buffer.alloc(0)), { signal })).toBe('created');
      expect(await store.head('basic/empty', { signal })).toMatchObject({
        size: 0,
        sha256: sha256(Buffer.alloc(0)),
      });
      expect(await read('basic/empty')).toHaveLength(0);
    });

    it('stores an object larger than any buffer on the way', async () => {
      const bytes = Buffer.alloc(9 * 1024 * 1024, 'linuxkit');
      expect(await store.put('basic/large', sourceOf(bytes), { signal })).toBe('created');
      expect(sha256(await read('basic/large'))).toBe(sha256(bytes));
    });

    it('says absent to head, and ObjectNotFound to get', async () => {
      expect(await store.head('nothing/here', { signal })).toBeUndefined();
      await expect(store.get('nothing/here', { signal })).rejects.toMatchObject({ code: 'ObjectNotFound' });
    });

    it('reads nothing from the source when the same bytes are there', async () => {
      const bytes = Buffer.from('same');
      await store.put('twice/same', sourceOf(bytes), { signal });
      const again = sourceOf(bytes);
      expect(await store.put('twice/same', again, { signal })).toBe('exists');
      expect(again.opened).toBe(0);
    });

    it('refuses other bytes under a taken key and keeps the first', async () => {
      await store.put('twice/other', sourceOf(Buffer.from('first')), { signal });
      await expect(
        store.put('twice/other', sourceOf(Buffer.from('other')), { signal }),
      ).rejects.toMatchObject({ code: 'ObjectConflict' });
      expect(await read('twice/other')).toEqual(Buffer.from('first'));
    });

    it('lets one of several writers of one key win', async () => {
      const writers = Array.from({ length: 8 }, (_, index) =>
        store.put('race/key', sourceOf(Buffer.from(`writer ${index}`)), { signal }),
      );
      const outcomes = await Promise.allSettled(writers);
      const won = outcomes.flatMap((outcome, index) => (outcome.status === 'fulfilled' ? [index] : []));
      expect(won).toHaveLength(1);
      expect((await read('race/key')).toString()).toBe(`writer ${won[0]}`);
      for (const outcome of outcomes) {
        if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'ObjectConflict' });
      }
    });

    it.each([
      ['other bytes', { sha256: sha256(Buffer.from('announced')) }],
      ['fewer bytes', { size: 1000 }],
      ['more bytes', { size: 3 }],
    ])('stores nothing when the source delivers %s', async (what, announced) => {
      const key = `liar/${what.replace(' ', '-')}`;
      await expect(
        store.put(key, sourceOf(Buffer.from('delivered'), announced), { signal }),
      ).rejects.toMatchObject({
        code: 'ChecksumMismatch',
      });
      expect(await store.head(key, { signal })).toBeUndefined();
      expect(await store.put(key, sourceOf(Buffer.from('true')), { signal })).toBe('created');
    });

    it('stores nothing and passes the error on when the source fails', async () => {
      const source: ObjectSource = {
        size: 2_000_000,
        sha256: sha256(Buffer.from('x')),
        open: () =>
          Readable.from(
            (async function* () {
              yield Buffer.alloc(1_000_000);
              throw new Error('the layer ended early');
            })(),
          ),
      };
      await expect(store.put('broken/source', source, { signal })).rejects.toThrow('the layer ended early');
      expect(await store.head('broken/source', { signal })).toBeUndefined();
    });

    it('stores nothing when it is aborted', async () => {
      const abort = new AbortController();
      const source: ObjectSource = {
        size: 2_000_000,
        sha256: sha256(Buffer.from('x')),
        open: () =>
          Readable.from(
            (async function* () {
              yield Buffer.alloc(1_000_000);
              abort.abort(new Error('no longer wanted'));
              yield Buffer.alloc(1_000_000);
            })(),
          ),
      };
      await expect(store.put('aborted/put', source, { signal: abort.signal })).rejects.toThrow(
        'no longer wanted',
      );
      expect(await store.head('aborted/put', { signal })).toBeUndefined();
    });

    it('ends a read when it is aborted', async () => {
      await store.put('aborted/get', sourceOf(Buffer.alloc(8_000_000, 'x')), { signal });
      const abort = new AbortController();
      const { body } = await store.get('aborted/get', { signal: abort.signal });
      await once(body, 'readable');
      abort.abort();
      await expect(buffer(body)).rejects.toThrow();
    });

    it('returns any range of any object', async () => {
      const bytes = Buffer.from(Array.from({ length: 4096 }, (_, index) => index % 251));
      await store.put('ranges/object', sourceOf(bytes), { signal });
      const bound = fc.integer({ min: 0, max: bytes.length - 1 });
      await fc.assert(
        fc.asyncProperty(bound, bound, async (one, other) => {
          const range = { first: Math.min(one, other), last: Math.max(one, other) };
          const { info, body } = await store.get('ranges/object', { signal, range });
          expect(info.size).toBe(bytes.length);
          expect(await buffer(body)).toEqual(bytes.subarray(range.first, range.last + 1));
        }),
        { numRuns: options.runs },
      );
    });

    it('refuses a range beyond the end', async () => {
      await store.put('ranges/short', sourceOf(Buffer.from('short')), { signal });
      await expect(store.get('ranges/short', { signal, range: { first: 5, last: 9 } })).rejects.toThrow(
        RangeError,
      );
    });

    it('lists exactly the keys with the prefix, in order', async () => {
      const keys = ['tree/a-b/x', 'tree/a/b', 'tree/a/b.json', 'tree/a0', 'tree/ab/c/d', 'tree/b'];
      for (const key of keys) await store.put(key, sourceOf(Buffer.from(key)), { signal });
      const listing = async (prefix: string) => (await listed(store, prefix)).map((info) => info.key);
      expect(await listing('tree/')).toEqual(keys);
      expect(await listing('tree/a/')).toEqual(['tree/a/b', 'tree/a/b.json']);
      expect(await listing('tree/a')).toEqual(keys.slice(0, 5));
      expect(await listing('tree/none/')).toEqual([]);
      const [first] = await listed(store, 'tree/a/b');
      expect(first).toMatchObject({ size: 'tree/a/b'.length });
      expect(first?.modified).toBeInstanceOf(Date);
    });

    it('removes what is named and nothing else, and does not mind what is absent', async () => {
      for (const key of ['gone/a', 'gone/b', 'gone/c'])
        await store.put(key, sourceOf(Buffer.from(key)), { signal });
      await store.delete(['gone/a', 'gone/c', 'gone/never'], { signal });
      expect((await listed(store, 'gone/')).map((info) => info.key)).toEqual(['gone/b']);
      await store.delete([], { signal });
      expect(await store.put('gone/a', sourceOf(Buffer.from('other than before')), { signal })).toBe(
        'created',
      );
      expect((await read('gone/a')).toString()).toBe('other than before');
    });

    it.each([
      '',
      '/a',
      'a//b',
      'a/../b',
      '../a',
      '.',
      'a/',
      'a\0b',
      'a b',
      'ä',
      '.hidden',
      'a'.repeat(241),
      'a/'.repeat(600) + 'a',
    ])('refuses the key %j', async (key) => {
      const invalid = { code: 'InvalidKey' };
      await expect(store.head(key, { signal })).rejects.toMatchObject(invalid);
      await expect(store.get(key, { signal })).rejects.toMatchObject(invalid);
      await expect(store.put(key, sourceOf(Buffer.from('x')), { signal })).rejects.toMatchObject(invalid);
      await expect(store.delete([key], { signal })).rejects.toMatchObject(invalid);
    });

    it('behaves as a map does, for any sequence of puts and deletes', async () => {
      const key = fc.constantFrom('a', 'b/c', 'b/d');
      const step = fc.oneof(
        fc.record({ put: key, value: fc.constantFrom('one', 'two') }),
        fc.record({ delete: key }),
      );
      let run = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
          run += 1;
          const root = `model/${run}/`;
          const model = new Map<string, string>();
          for (const action of steps) {
            if ('delete' in action) {
              await store.delete([root + action.delete], { signal });
              model.delete(action.delete);
              continue;
            }
            const before = model.get(action.put);
            const outcome = await store
              .put(root + action.put, sourceOf(Buffer.from(action.value)), { signal })
              .catch((error: unknown) => error);
            if (before === undefined) {
              expect(outcome).toBe('created');
              model.set(action.put, action.value);
            } else if (before === action.value) expect(outcome).toBe('exists');
            else expect(outcome).toMatchObject({ code: 'ObjectConflict' });
          }
          const stored = await listed(store, root);
          expect(stored.map((info) => info.key)).toEqual([...model.keys()].sort().map((name) => root + name));
          for (const [name, value] of model) expect((await read(root + name)).toString()).toBe(value);
        }),
        { numRuns: options.runs },
      );
    });
  });
}
