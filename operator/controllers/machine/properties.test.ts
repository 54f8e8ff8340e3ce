import * as fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { updatePolicy } from '../../api/machine.ts';
import { sampleArtifact, sampleDigest, sampleMachine } from '../../kubevirt/sample.ts';
import { FleetModel } from './fleet-model.ts';
import { allowedDown } from './rollout.ts';
import { FREE_SLOTS } from './slots.ts';

// Each takes some seconds, and several times that on a machine that does other things as well.
vi.setConfig({ testTimeout: 60_000 });

/** What must hold of decisions whatever happens, in whatever order, with whatever policy. */

const SEEDS = ['a', 'b', 'c', 'd'] as const;
const MINUTE = 60_000;
/** Deadline of a minute, half a minute to stay ready, and a grace period of ten seconds. */
const PATIENCE = 100_000;

const policy = fc.record({
  strategy: fc.constantFrom('RollingUpdate', 'RollingUpdate', 'RollingUpdate', 'OnRestart', 'Manual'),
  maxUnavailable: fc.oneof(fc.integer({ min: 1, max: 4 }), fc.constantFrom('10%', '50%', '100%')),
  partition: fc.constantFrom(0, 0, 0, 2),
  onFailure: fc.constantFrom('Rollback', 'Halt'),
  progressDeadlineSeconds: fc.constant(60),
  minReadySeconds: fc.constantFrom(0, 30),
});

/** Those under which a machine comes back whatever ends it. */
const runStrategy = fc.constantFrom('Always' as const, 'Always' as const, 'RerunOnFailure' as const);

const index = fc.nat(6);
const event = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('decide' as const),
      machinesAge: fc.nat(4),
      instancesAge: fc.nat(4),
      // Now and then the API server refuses something.
      upTo: fc.oneof(
        { weight: 1, arbitrary: fc.nat(3) },
        { weight: 2, arbitrary: fc.constant(Number.POSITIVE_INFINITY) },
      ),
    }),
  },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('advance' as const), index }) },
  // What is rare where everything is left to chance: things go their way for a while.
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('go' as const), steps: fc.integer({ min: 1, max: 8 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('migrate' as const),
      index,
      underWay: fc.constantFrom(true, true, false),
    }),
  },
  fc.record({ kind: fc.constant('lead' as const) }),
  fc.record({
    kind: fc.constant('slots' as const),
    left: fc.constantFrom(0, 1, 2, Number.POSITIVE_INFINITY),
  }),
  fc.record({ kind: fc.constant('crash' as const), index }),
  fc.record({ kind: fc.constant('vanish' as const), index }),
  fc.record({ kind: fc.constant('wait' as const), minutes: fc.nat(3) }),
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('image' as const), seed: fc.constantFrom(...SEEDS) }),
  },
  fc.record({ kind: fc.constant('break' as const), seed: fc.constantFrom(...SEEDS) }),
  fc.record({ kind: fc.constant('mend' as const), seed: fc.constantFrom(...SEEDS) }),
  fc.record({ kind: fc.constant('scale' as const), replicas: fc.integer({ min: 0, max: 6 }) }),
  fc.record({ kind: fc.constant('args' as const), debug: fc.boolean() }),
  fc.record({ kind: fc.constant('policy' as const), policy }),
  fc.record({ kind: fc.constant('pause' as const), set: fc.constantFrom(true, false, false) }),
  fc.record({
    kind: fc.constant('run' as const),
    runStrategy: fc.constantFrom('Always' as const, 'RerunOnFailure' as const, 'Halted' as const),
  }),
  fc.record({
    kind: fc.constant('ask' as const),
    what: fc.constantFrom('restart-requested-at', 'update-requested-at', 'rollback-to'),
    value: fc.constantFrom('previous', 'previous@2', '1', '2', '3'),
  }),
  fc.record({ kind: fc.constant('detach' as const), index, set: fc.constantFrom(true, false, false) }),
);
type Happening = typeof event extends fc.Arbitrary<infer T> ? T : never;

/** A fleet that things happen to, and what informers have told of it so far. */
class World {
  readonly model: FleetModel;
  readonly #copies: ReturnType<FleetModel['copy']>[];
  #machines = 0;
  #instances = 0;

  constructor(replicas: number, update: object, strategy = 'Always') {
    this.model = new FleetModel(sampleMachine({ replicas, update, runStrategy: strategy }));
    this.model.settle();
    this.model.now += MINUTE;
    this.model.settle();
    this.#copies = [this.model.copy()];
  }

  happen(happening: Happening): void {
    const { model } = this;
    switch (happening.kind) {
      case 'decide':
        // Each kind has its own watch. A watch may lag, but never goes back.
        this.#machines = Math.max(this.#machines, this.#copies.length - 1 - happening.machinesAge);
        this.#instances = Math.max(this.#instances, this.#copies.length - 1 - happening.instancesAge);
        this.#decide(happening.upTo);
        break;
      case 'lead':
        this.#machines = this.#instances = this.#copies.length - 1;
        model.changeLeader();
        break;
      case 'slots':
        model.slots = { ...FREE_SLOTS, cluster: happening.left };
        break;
      case 'advance':
        model.advance(`web-${happening.index}`);
        break;
      case 'go':
        for (let step = 0; step < happening.steps; step += 1) {
          this.#machines = this.#instances = this.#copies.length - 1;
          this.#decide();
          for (const name of model.names) model.advance(name);
          this.#copies.push(model.copy());
        }
        break;
      case 'migrate':
        model.migrate(`web-${happening.index}`, happening.underWay);
        break;
      case 'crash':
        model.crash(`web-${happening.index}`);
        break;
      case 'vanish':
        model.machines.delete(`web-${happening.index}`);
        break;
      case 'wait':
        model.now += happening.minutes * MINUTE;
        break;
      case 'image':
        model.artifact = sampleArtifact({}, happening.seed);
        break;
      case 'break':
        model.broken.add(sampleDigest(happening.seed));
        break;
      case 'mend':
        model.broken.delete(sampleDigest(happening.seed));
        break;
      case 'scale':
        model.respecify({ replicas: happening.replicas });
        break;
      case 'args':
        model.respecify({ kernelArgs: happening.debug ? 'debug' : 'quiet' });
        break;
      case 'policy':
        model.respecify({
          update: { ...updatePolicy(model.spec.spec), ...happening.policy },
        });
        break;
      case 'pause':
        model.annotate({ 'linuxkit.dev/paused': String(happening.set) });
        break;
      case 'run':
        model.respecify({ runStrategy: happening.runStrategy });
        break;
      case 'ask':
        model.annotate({ [`linuxkit.dev/${happening.what}`]: happening.value });
        break;
      case 'detach':
        model.annotateMachine(`web-${happening.index}`, 'linuxkit.dev/detached', String(happening.set));
        break;
    }
    this.#copies.push(model.copy());
  }

  /** One pass over what informers have told, with the checks of every pass. */
  #decide(upTo = Number.POSITIVE_INFINITY): void {
    const { model } = this;
    const virtualMachines = this.#copies[this.#machines]?.virtualMachines ?? [];
    const instances = this.#copies[this.#instances]?.instances ?? [];
    const snapshot = model.snapshot({ virtualMachines, instances });
    const before = model.spec.status;
    const detached = new Set(
      snapshot.virtualMachines
        .filter((vm) => vm.metadata.annotations?.['linuxkit.dev/detached'] === 'true')
        .map((vm) => vm.metadata.name),
    );
    const decision = model.pass(snapshot, upTo);

    // As far as informers have told: of a guest that died since, nobody can know.
    const seen = new Map(
      snapshot.instances
        .filter(({ metadata }) => !metadata.deletionTimestamp && !snapshot.ended.has(metadata.uid ?? ''))
        .map((vmi) => [vmi.metadata.name, vmi]),
    );
    const { targetRevision, lastHandledRestart } = decision.status;
    const isReady = (name: string): boolean => seen.get(name)?.status?.conditions?.[0]?.status === 'True';
    const isWanted = (name: string): boolean => {
      const annotations = seen.get(name)?.metadata.annotations;
      return (
        annotations?.['linuxkit.dev/revision'] === targetRevision &&
        annotations?.['linuxkit.dev/restart-requested-at'] === lastHandledRestart
      );
    };
    const { minReadySeconds } = updatePolicy(model.spec.spec);
    /** An updated one serves once it has stayed ready for long enough. */
    const serves = (name: string): boolean => {
      const since = Date.parse(seen.get(name)?.status?.conditions?.[0]?.lastTransitionTime ?? '');
      return isReady(name) && (!isWanted(name) || model.now - since >= minReadySeconds * 1000);
    };
    const taken = decision.actions.flatMap((action) =>
      action.kind === 'deleteInstance' || action.kind === 'restartInstance' ? [action.name] : [],
    );
    for (const name of taken) {
      expect(isReady(name) && isWanted(name)).toBe(false);
      expect(seen.get(name)?.status?.migrationState).toBeUndefined();
    }
    const down = model.names.filter((name) => !detached.has(name) && !serves(name)).length;
    for (const action of decision.actions) {
      if (
        action.kind === 'deleteInstance' ||
        action.kind === 'restartInstance' ||
        action.kind === 'deleteMachine' ||
        action.kind === 'applyMachine'
      ) {
        const name = action.kind === 'applyMachine' ? action.vm.metadata.name : action.name;
        // A detached machine is left alone; a missing one of the name may be made.
        if (action.kind !== 'applyMachine' || action.uid !== undefined)
          expect([...detached]).not.toContain(name);
      }
    }
    const serving = taken.filter(serves);
    expect(serving.length).toBeLessThanOrEqual(model.slots.cluster);
    if (serving.length > 0) expect(down + serving.length).toBeLessThanOrEqual(allowedDown(model.spec));
    // A failure is written down, and nothing else done.
    const failed = decision.status.failedRevision;
    if (failed?.reason === 'ProgressDeadlineExceeded' && failed.time !== before?.failedRevision?.time)
      expect(decision.actions).toEqual([]);
    // Nobody is moved to what has failed.
    if (failed !== undefined && failed.name === before?.failedRevision?.name) {
      const laid = decision.actions.flatMap((action) => (action.kind === 'applyMachine' ? [action.vm] : []));
      for (const vm of laid) {
        const revision = vm.spec.template.metadata?.annotations?.['linuxkit.dev/revision'];
        const had = snapshot.virtualMachines.find((each) => each.metadata.name === vm.metadata.name);
        const earlier = had?.spec?.template.metadata?.annotations?.['linuxkit.dev/revision'];
        if (revision === failed.name && failed.rolledBackTo !== undefined) expect(earlier).toBe(failed.name);
      }
    }
  }
}

/** At rest, all run what is wanted, wherever something can be wanted and works. */
function expectArrived({ spec, broken, machines, names, revisions }: FleetModel): void {
  const { targetRevision, failedRevision } = spec.status ?? {};
  const { strategy, partition } = updatePolicy(spec.spec);
  const digest = [...revisions.values()].find(({ name }) => name === targetRevision)?.artifact.digest;
  if (strategy !== 'RollingUpdate' || partition > 0 || failedRevision?.halted === true) return;
  if (digest === undefined || broken.has(digest)) return;
  for (const name of names) {
    const machine = machines.get(name);
    if (machine?.vm.metadata.annotations?.['linuxkit.dev/detached'] === 'true') continue;
    expect(machine?.guest?.template.metadata?.annotations?.['linuxkit.dev/revision']).toBe(targetRevision);
  }
}

describe('whatever happens in whatever order', () => {
  test('no more are taken down than allowed, none that is as it should be, migrated or detached, none to what has failed', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 6 }),
        policy,
        runStrategy,
        fc.array(event, { maxLength: 150 }),
        (replicas, update, strategy, events) => {
          const world = new World(replicas, update, strategy);
          for (const happening of events) world.happen(happening);
        },
      ),
      { numRuns: 150 },
    );
  });

  test('it comes to rest, and when nothing is broken any more, on what image and spec ask for', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 6 }),
        policy,
        runStrategy,
        fc.array(event, { maxLength: 120 }),
        (replicas, update, strategy, events) => {
          const { model } = ((): World => {
            const world = new World(replicas, update, strategy);
            for (const happening of events) world.happen(happening);
            return world;
          })();
          model.annotate({});
          model.respecify({ runStrategy: strategy });
          model.slots = FREE_SLOTS;
          // At rest though digests may be broken: time alone brings nothing after the last deadline.
          for (const name of model.machines.keys()) model.migrate(name, false);
          for (let round = 0; round < 10; round += 1) {
            model.settle();
            model.now += PATIENCE;
          }
          model.now += 60 * MINUTE;
          expect(model.settle().flatMap(({ actions }) => actions)).toEqual([]);
          expectArrived(model);

          model.broken.clear();
          for (const name of model.machines.keys())
            model.annotateMachine(name, 'linuxkit.dev/detached', 'false');
          model.respecify({
            update: { ...updatePolicy(model.spec.spec), strategy: 'RollingUpdate', partition: 0 },
          });
          model.artifact = sampleArtifact({}, 'e');
          // One may have to stay ready for half a minute before the next.
          for (let round = 0; round <= 6; round += 1) {
            model.settle();
            model.now += MINUTE / 2;
          }
          expect(model.digests).toEqual(model.names.map(() => sampleDigest('e')));
          expect(model.down).toBe(0);
          expect(model.machines.size).toBe(model.spec.spec.replicas);
          expect(model.pass().actions).toEqual([]);
          expect(model.spec.status?.failedRevision).toBeUndefined();
        },
      ),
      { numRuns: 50 },
    );
  });

  test('a digest that does not boot is tried by no more than may be down, whatever is down already', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 6 }),
        policy,
        fc.array(fc.nat(6), { maxLength: 6 }),
        fc.array(fc.nat(6), { maxLength: 3 }),
        fc.array(fc.nat(6), { maxLength: 30 }),
        (replicas, update, crashed, vanished, order) => {
          const { model } = new World(replicas, { ...update, strategy: 'RollingUpdate', partition: 0 });
          for (const which of crashed) model.crash(`web-${which}`);
          for (const which of vanished) model.machines.delete(`web-${which}`);
          model.artifact = sampleArtifact({}, 'b');
          model.broken.add(sampleDigest('b'));
          const visitors = new Set<string>();
          const look = (): void => {
            model.pass();
            for (const name of model.names) if (model.digest(name) === sampleDigest('b')) visitors.add(name);
          };
          for (const which of [...order, ...Array.from({ length: 80 }, (_, step) => step % replicas)]) {
            look();
            model.advance(`web-${which}`);
            model.now += 5000;
          }
          expect(visitors.size).toBeLessThanOrEqual(allowedDown(model.spec));
        },
      ),
      { numRuns: 20 },
    );
  });

  test('a digest that does not boot takes what may be down at once, and no machine twice', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 6 }),
        policy,
        fc.array(fc.nat(6), { maxLength: 60 }),
        (replicas, update, order) => {
          const world = new World(replicas, { ...update, strategy: 'RollingUpdate' });
          const { model } = world;
          model.artifact = sampleArtifact({}, 'b');
          model.broken.add(sampleDigest('b'));
          const visits = new Map<string, number>();
          const look = (): void => {
            for (const action of model.pass().actions) {
              if (action.kind === 'deleteInstance')
                visits.set(action.name, (visits.get(action.name) ?? 0) + 1);
            }
            expect(model.down).toBeLessThanOrEqual(allowedDown(model.spec));
          };
          for (const which of order) {
            look();
            model.advance(`web-${which}`);
            model.now += 10_000;
          }
          for (let round = 0; round < 40; round += 1) {
            look();
            for (const name of model.names) model.advance(name);
            model.now += 10_000;
          }
          // Once there, and once back.
          expect(visits.size).toBeLessThanOrEqual(allowedDown(model.spec));
          expect(Math.max(0, ...visits.values())).toBeLessThanOrEqual(2);
          const halted = updatePolicy(model.spec.spec).onFailure === 'Halt';
          if (!halted) expect(model.digests).toEqual(model.names.map(() => sampleDigest('a')));
        },
      ),
      { numRuns: 25 },
    );
  });
});
