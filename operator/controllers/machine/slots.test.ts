import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Stored } from '../../runtime/objects.ts';
import type { MachineObject } from '../image/objects.ts';
import { RestartLedger } from './restart-ledger.ts';
import { FREE_SLOTS, NO_LIMITS, slotsLeft, TRANSIT_LIMIT_MS, type Transit, takeSlots } from './slots.ts';

const NOW = Date.parse('2026-11-24T12:00:00Z');
const transit = (namespace: string, node: string, age = 0): Transit => ({
  namespace,
  node,
  since: NOW - age,
});

describe('slotsLeft', () => {
  const limits = { cluster: 4, namespace: 2, node: 1 };
  test('counts in the cluster, in the namespace and on the node', () => {
    const slots = slotsLeft(limits, [transit('a', 'n1'), transit('b', 'n2')], 'a', NOW);
    expect([slots.cluster, slots.namespace, slots.node('n1'), slots.node('n3')]).toEqual([2, 1, 0, 1]);
    expect(slots.node(undefined)).toBe(Infinity);
  });

  test('gives up on one that does not come up', () => {
    const old = transit('a', 'n1', TRANSIT_LIMIT_MS);
    expect(slotsLeft(limits, [old, old, old, old, old], 'a', NOW).cluster).toBe(4);
  });

  test('never goes below none, and knows no bound where none is set', () => {
    const many = Array.from({ length: 9 }, () => transit('a', 'n1'));
    expect(slotsLeft(limits, many, 'a', NOW).cluster).toBe(0);
    const free = slotsLeft(NO_LIMITS, many, 'a', NOW);
    expect([free.cluster, free.namespace, free.node('n1')]).toEqual([Infinity, Infinity, Infinity]);
  });
});

describe('takeSlots', () => {
  const on = (
    node: string | undefined,
    id: number,
  ): { readonly node: string | undefined; readonly id: number } => ({
    node,
    id,
  });
  test('takes in order, and passes over those whose node is full', () => {
    const candidates = [on('n1', 1), on('n1', 2), on('n2', 3), on(undefined, 4)];
    const slots = {
      cluster: 3,
      namespace: 5,
      node: (name: string | undefined) => (name === 'n1' ? 1 : Infinity),
    };
    expect(takeSlots(candidates, slots).map(({ id }) => id)).toEqual([1, 3, 4]);
    expect(takeSlots(candidates, FREE_SLOTS)).toEqual(candidates);
    expect(takeSlots(candidates, { ...slots, namespace: 0 })).toEqual([]);
    expect(takeSlots(candidates, { ...slots, cluster: -1 })).toEqual([]);
  });

  test('whatever is taken, in whatever order machines are looked at, no limit is passed', () => {
    const limit = fc.integer({ min: 0, max: 4 });
    const asks = fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.array(fc.constantFrom('n1', 'n2'))), {
      maxLength: 12,
    });
    fc.assert(
      fc.property(limit, limit, limit, asks, (cluster, namespace, node, machines) => {
        const ledger = new RestartLedger({ cluster, namespace, node }, () =>
          machines.map((_, index) => object(`m${index}`, 'x')),
        );
        const taken: Transit[] = [];
        for (const [index, [space, nodes]] of machines.entries()) {
          const slots = ledger.slotsFor({ uid: `m${index}`, namespace: space }, NOW);
          const got = takeSlots(
            nodes.map((name) => ({ node: name })),
            slots,
          ).map((candidate) => transit(space, candidate.node));
          ledger.record({ uid: `m${index}`, key: `x/m${index}` }, { transits: got, waitsForSlot: false });
          taken.push(...got);
        }
        const most = (keys: readonly string[]): number =>
          Math.max(
            0,
            ...Map.groupBy(keys, (key) => key)
              .values()
              .map((group) => group.length),
          );
        if (cluster > 0) expect(taken.length).toBeLessThanOrEqual(cluster);
        if (namespace > 0) expect(most(taken.map((each) => each.namespace))).toBeLessThanOrEqual(namespace);
        if (node > 0) expect(most(taken.map((each) => each.node ?? ''))).toBeLessThanOrEqual(node);
      }),
    );
  });
});

function object(uid: string, namespace: string, status: object = {}): Stored<MachineObject> {
  return {
    apiVersion: 'linuxkit.dev/v1alpha1',
    kind: 'LinuxKitMachine',
    metadata: { name: uid, namespace, uid, resourceVersion: '1' },
    status,
  };
}

describe('the ledger', () => {
  const limits = { cluster: 2, namespace: 0, node: 0 };
  const pending = { machines: [{ pendingSince: new Date(NOW - 1000).toISOString(), node: 'n1' }, {}] };

  test('of a new leader begins with what statuses say, until it has looked itself', () => {
    const ledger = new RestartLedger(limits, () => [object('one', 'a', pending), object('two', 'b')]);
    expect(ledger.slotsFor({ uid: 'two', namespace: 'b' }, NOW).cluster).toBe(1);
    ledger.record({ uid: 'one', key: 'a/one' }, { transits: [], waitsForSlot: false });
    expect(ledger.slotsFor({ uid: 'two', namespace: 'b' }, NOW).cluster).toBe(2);
  });

  test('does not count a machine against itself', () => {
    const ledger = new RestartLedger(limits, () => [object('one', 'a', pending)]);
    expect(ledger.slotsFor({ uid: 'one', namespace: 'a' }, NOW).cluster).toBe(2);
  });

  test('wakes those that wait, in their order, when one has come up or is gone', () => {
    const ledger = new RestartLedger(limits, () => []);
    const down = [transit('a', 'n1'), transit('a', 'n2')];
    const one = { uid: 'one', key: 'a/one' };
    ledger.record(one, { transits: down, waitsForSlot: false });
    expect(ledger.record({ uid: 'two', key: 'b/two' }, { transits: [], waitsForSlot: true })).toEqual([]);
    expect(ledger.record({ uid: 'three', key: 'b/three' }, { transits: [], waitsForSlot: true })).toEqual([]);
    expect(ledger.counts(NOW)).toEqual({ underWay: 2, waiting: 2 });
    expect(ledger.record(one, { transits: down.slice(1), waitsForSlot: false })).toEqual([
      'b/two',
      'b/three',
    ]);
    ledger.record({ uid: 'two', key: 'b/two' }, { transits: [], waitsForSlot: false });
    expect(ledger.forget('one')).toEqual(['b/three']);
    expect(ledger.counts(NOW)).toEqual({ underWay: 0, waiting: 1 });
  });
});
