import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sampleArtifact, sampleDigest, sampleMachine } from '../../kubevirt/sample.ts';
import type { Decision } from './actions.ts';
import { FleetModel } from './fleet-model.ts';
import { allowedDown } from './rollout.ts';
import type { Snapshot } from './snapshot.ts';

const SEEDS = ['a', 'b', 'c', 'd'];

function machineOf(replicas: number, maxUnavailable: number | string = 1) {
  return sampleMachine({ replicas, update: { maxUnavailable } });
}

/** Decides, does what was decided, and checks that no healthy machine on the target was touched for it. */
function pass(model: FleetModel, snapshot: Snapshot = model.snapshot()): Decision {
  const served = new Map(
    model.names.map((name) => [name, model.serves(name) ? model.digest(name) : undefined]),
  );
  const decision = model.pass(snapshot);
  for (const action of decision.actions) {
    if (action.kind !== 'deleteInstance') continue;
    expect(served.get(action.name)).not.toBe(decision.status.targetDigest);
  }
  return decision;
}

/** Lets everything happen that happens by itself, with those checks, until nothing is left to do. */
function settle(model: FleetModel, limit = 500): void {
  let idle = 0;
  for (let step = 0; step < limit; step += 1) {
    const { actions } = pass(model);
    const moved = model.names.filter((name) => model.advance(name));
    idle = actions.length === 0 && moved.length === 0 ? idle + 1 : 0;
    // What was only written down is acted upon the next time.
    if (idle === 2) return;
  }
  throw new Error(`not settled after ${limit} steps`);
}

function upToDate(model: FleetModel): boolean {
  return model.names.every((name) => model.serves(name) && model.digest(name) === model.artifact.digest);
}

test('makes all at once, and then has nothing to do', () => {
  const model = new FleetModel(machineOf(3));
  expect(pass(model).actions.map((action) => action.kind)).toEqual([
    'createRevision',
    'applyMachine',
    'applyMachine',
    'applyMachine',
  ]);
  settle(model);
  expect(upToDate(model)).toBe(true);
  expect(pass(model)).toMatchObject({ actions: [], done: [] });
});

test('moves one at a time from the highest ordinal down', () => {
  const model = new FleetModel(machineOf(3));
  settle(model);
  model.artifact = sampleArtifact({}, 'b');
  const order: string[] = [];
  for (let step = 0; step < 50; step += 1) {
    for (const action of pass(model).actions) if (action.kind === 'deleteInstance') order.push(action.name);
    expect(model.down).toBeLessThanOrEqual(1);
    for (const name of model.names) model.advance(name);
  }
  expect(order).toEqual(['web-2', 'web-1', 'web-0']);
  expect(upToDate(model)).toBe(true);
});

test('passes over a machine that is being migrated, and moves it once it has arrived', () => {
  const model = new FleetModel(machineOf(3));
  settle(model);
  model.migrate('web-2', true);
  model.artifact = sampleArtifact({}, 'b');
  settle(model);
  expect(model.digests).toEqual([sampleDigest('b'), sampleDigest('b'), sampleDigest('a')]);
  model.migrate('web-2', false);
  settle(model);
  expect(upToDate(model)).toBe(true);
});

test('a digest that does not come up takes one machine; a better one brings it back', () => {
  const model = new FleetModel(machineOf(5));
  settle(model);
  model.artifact = sampleArtifact({}, 'b');
  model.broken.add(model.artifact.digest);
  settle(model);
  expect(
    model.names.map((name) => model.digest(name)).filter((digest) => digest === sampleDigest('b')),
  ).toHaveLength(1);
  expect(model.down).toBe(1);

  // One that crashes meanwhile comes back with what it had.
  model.crash('web-1');
  settle(model);
  expect(model.digest('web-1')).toBe(sampleDigest('a'));
  expect(model.down).toBe(1);

  model.artifact = sampleArtifact({}, 'c');
  settle(model);
  expect(upToDate(model)).toBe(true);
});

test('of a fleet that is down altogether one tries what is new, and all the others follow it at once', () => {
  const model = new FleetModel(machineOf(4));
  model.broken.add(model.artifact.digest);
  settle(model);
  model.artifact = sampleArtifact({}, 'b');
  const moved: string[][] = [];
  for (let step = 0; step < 50; step += 1) {
    const names = pass(model).actions.flatMap((action) =>
      action.kind === 'deleteInstance' ? [action.name] : [],
    );
    if (names.length > 0) moved.push(names);
    for (const name of model.names) model.advance(name);
  }
  expect(moved).toEqual([['web-3'], ['web-0', 'web-1', 'web-2']]);
  expect(upToDate(model)).toBe(true);
});

test('of a fleet that is down altogether no more than may be down try what does not come up', () => {
  const model = new FleetModel(machineOf(5, 2));
  settle(model);
  for (const name of model.names) model.crash(name);
  model.artifact = sampleArtifact({}, 'b');
  model.broken.add(model.artifact.digest);
  settle(model);
  expect(model.digests.filter((digest) => digest === sampleDigest('b'))).toHaveLength(2);
});

test('an instance that we have ended counts as down, though its copy is older than that of its virtual machine', () => {
  const model = new FleetModel(machineOf(3));
  settle(model);
  model.artifact = sampleArtifact({}, 'b');
  const { instances } = model.copy();
  pass(model);
  const virtualMachines = model
    .copy()
    .virtualMachines.map((vm) =>
      vm.metadata.name === 'web-2' ? { ...vm, metadata: { ...vm.metadata, deletionTimestamp: 'now' } } : vm,
    );
  expect(pass(model, model.snapshot({ virtualMachines, instances })).actions).toEqual([]);
});

test('an image built twice in quick succession ends on the last digest, the middle one visited once at most', () => {
  const model = new FleetModel(machineOf(4));
  settle(model);
  model.artifact = sampleArtifact({}, 'b');
  pass(model);
  model.artifact = sampleArtifact({}, 'c');
  const visited = new Set<string>();
  for (let step = 0; step < 60; step += 1) {
    pass(model);
    expect(model.down).toBeLessThanOrEqual(1);
    for (const name of model.names) {
      model.advance(name);
      if (model.digest(name) === sampleDigest('b')) visited.add(name);
    }
  }
  expect(upToDate(model)).toBe(true);
  expect(visited.size).toBeLessThanOrEqual(1);
});

describe('allowedDown', () => {
  test.each([
    [10, 3, 3],
    [10, '25%', 2],
    [3, '10%', 1],
    [0, '100%', 1],
    [8, '100%', 8],
  ])('%d replicas, %s: %d', (replicas, given, allowed) => {
    expect(allowedDown(machineOf(replicas, given))).toBe(allowed);
  });
});

const fleet = fc.record({
  replicas: fc.integer({ min: 1, max: 6 }),
  maxUnavailable: fc.oneof(fc.integer({ min: 1, max: 4 }), fc.constantFrom('10%', '50%', '100%')),
});

const event = fc.oneof(
  fc.record({ kind: fc.constant('advance' as const), index: fc.nat(5) }),
  fc.record({ kind: fc.constant('migrate' as const), index: fc.nat(5), underWay: fc.boolean() }),
  fc.record({ kind: fc.constant('decide' as const), machinesAge: fc.nat(4), instancesAge: fc.nat(4) }),
  fc.record({ kind: fc.constant('image' as const), seed: fc.constantFrom(...SEEDS) }),
);

describe('whatever happens in whatever order', () => {
  test('no more are down by our doing than allowed, even when what we look at is old', () => {
    fc.assert(
      fc.property(fleet, fc.array(event, { maxLength: 120 }), ({ replicas, maxUnavailable }, events) => {
        const model = new FleetModel(machineOf(replicas, maxUnavailable));
        settle(model);
        const allowed = allowedDown(model.spec);
        const copies = [model.copy()];
        let [machines, instances] = [0, 0];
        for (const happening of events) {
          switch (happening.kind) {
            case 'advance':
              model.advance(`web-${happening.index % replicas}`);
              break;
            case 'migrate':
              model.migrate(`web-${happening.index % replicas}`, happening.underWay);
              break;
            case 'image':
              model.artifact = sampleArtifact({}, happening.seed);
              break;
            case 'decide': {
              // Each kind has its own watch. A watch may lag, but never goes back.
              machines = Math.max(machines, copies.length - 1 - happening.machinesAge);
              instances = Math.max(instances, copies.length - 1 - happening.instancesAge);
              const virtualMachines = copies[machines]?.virtualMachines ?? [];
              pass(model, model.snapshot({ virtualMachines, instances: copies[instances]?.instances ?? [] }));
              break;
            }
          }
          copies.push(model.copy());
          expect(model.down).toBeLessThanOrEqual(allowed);
        }
      }),
      { numRuns: 150 },
    );
  });
});
