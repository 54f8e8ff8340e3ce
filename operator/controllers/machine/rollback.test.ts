import { describe, expect, test } from 'vitest';
import { sampleArtifact, sampleDigest, sampleMachine } from '../../kubevirt/sample.ts';
import type { Decision } from './actions.ts';
import { FleetModel } from './fleet-model.ts';
import { rolloutResult } from './transitions.ts';

/** Grace period and deadline of the machines below, in milliseconds, and a little more. */
const PATIENCE = (60 + 10) * 1000;

function machineOf(update: Readonly<Record<string, unknown>> = {}, replicas = 5): FleetModel {
  return new FleetModel(sampleMachine({ replicas, update: { progressDeadlineSeconds: 60, ...update } }));
}

/** A fleet on artifact a, all of it ready; then an artifact b whose guests never are, and one machine taken by it. */
function stuck(update: Readonly<Record<string, unknown>> = {}): FleetModel {
  const model = machineOf(update);
  model.settle();
  model.artifact = sampleArtifact({}, 'b');
  model.broken.add(sampleDigest('b'));
  model.settle();
  expect(
    model.names.map((name) => model.digest(name)).filter((digest) => digest === sampleDigest('b')),
  ).toEqual([sampleDigest('b')]);
  return model;
}

function tells(decisions: readonly Decision[]): readonly string[] {
  return decisions.flatMap(({ observed }) => observed.map((tell) => `${tell.type} ${tell.reason}`));
}

const [A, B, C] = [sampleDigest('a'), sampleDigest('b'), sampleDigest('c')];

describe('a revision that does not come up', () => {
  test('is waited for until the deadline, and looked at again then', () => {
    const model = stuck();
    const { requeueAfterMs, status } = model.pass();
    expect(requeueAfterMs).toBe(PATIENCE);
    expect(status.failedRevision).toBeUndefined();
    expect(status.machines?.at(-1)).toMatchObject({ ready: false, pendingSince: '2026-11-24T12:00:00Z' });
    model.now += PATIENCE - 1;
    expect(model.pass().status.failedRevision).toBeUndefined();
  });

  test('is written down first, and then left for the last one that was healthy', () => {
    const model = stuck();
    const before = model.spec.status;
    model.now += PATIENCE;
    const decision = model.pass();
    expect(decision.actions).toEqual([]);
    expect(decision.status).toMatchObject({
      targetDigest: A,
      healthyRevision: before?.healthyRevision,
      targetRevision: before?.healthyRevision,
      failedRevision: {
        name: before?.targetRevision,
        digest: B,
        reason: 'ProgressDeadlineExceeded',
        rolledBackTo: before?.healthyRevision,
        halted: false,
      },
    });
    expect(rolloutResult(before, decision.status)).toBe('rolled_back');
    expect(tells([decision])).toEqual(['Warning RolledBack']);
    expect(model.condition('RolledBack')).toMatch(
      /^True ProgressDeadlineExceeded: web-4 did not become ready/,
    );
    expect(model.condition('Ready')).toMatch(/^False RolledBack: web-4 .*; going back: 4 of 5 run sha256:a+/);

    const decisions = model.settle();
    expect(tells(decisions)).toEqual(['Warning RolledBack']);
    const restarted = decisions.flatMap(({ actions }) =>
      actions.flatMap((action) => (action.kind === 'deleteInstance' ? [`${action.why} ${action.name}`] : [])),
    );
    expect(restarted).toEqual(['Rollback web-4']);
    expect(model.digests).toEqual([A, A, A, A, A]);
    expect(model.condition('Stalled')).toMatch(
      /^True RolledBack: .*is not tried again until image or spec changes$/,
    );
    expect(model.condition('Ready')).toMatch(/^False RolledBack/);
    expect(model.spec.status).toMatchObject({ availableReplicas: 5, updatedReplicas: 5 });
  });

  test('is not tried again by time, crashes, scaling, or another process that leads', () => {
    const model = stuck();
    model.now += PATIENCE;
    model.settle();
    model.crash('web-0');
    model.now += 10 * PATIENCE;
    model.respecify({ replicas: 6 });
    model.settle();
    expect(model.digests).toEqual([A, A, A, A, A, A]);
    expect(model.names.map((name) => model.laid(name))).toEqual([A, A, A, A, A, A]);
  });

  test('is forgotten when the image has another', () => {
    const model = stuck();
    model.now += PATIENCE;
    model.settle();
    model.artifact = sampleArtifact({}, 'c');
    expect(tells(model.settle())).toEqual(['Normal RolloutStarted', 'Normal RolloutComplete']);
    expect(model.digests).toEqual([C, C, C, C, C]);
    expect(model.spec.status).not.toHaveProperty('failedRevision');
    expect(model.spec.status?.conditions?.map(({ type }) => type)).toEqual(['Ready']);
  });

  test('is tried again when that is asked for', () => {
    const model = stuck();
    model.now += PATIENCE;
    model.settle();
    model.broken.clear();
    model.annotate({ 'linuxkit.dev/update-requested-at': 'T1' });
    model.settle();
    expect(model.digests).toEqual([B, B, B, B, B]);
    expect(model.spec.status).toMatchObject({ lastHandledUpdate: 'T1' });
  });

  test('halts by policy, with the machine that failed as it is', () => {
    const model = stuck({ onFailure: 'Halt' });
    const before = model.spec.status;
    model.now += PATIENCE;
    const decisions = model.settle();
    expect(rolloutResult(before, decisions[0]?.status ?? {})).toBe('halted');
    expect(tells(decisions)).toEqual(['Warning RolloutHalted']);
    expect(model.digests).toEqual([A, A, A, A, B]);
    expect(model.condition('Stalled')).toMatch(/^True RolloutHalted/);
    expect(model.condition('Degraded')).toMatch(/^True RolloutHalted/);
    // Those that were not moved start again with what they have, and a missing one is made with what works.
    model.crash('web-0');
    model.machines.delete('web-1');
    model.settle();
    expect(model.digests).toEqual([A, A, A, A, B]);
  });

  test('halts where there is nothing to go back to, and is taken as healthy when all come up after all', () => {
    const model = machineOf({}, 2);
    model.broken.add(A);
    model.settle();
    model.now += PATIENCE;
    model.settle();
    expect(model.spec.status?.failedRevision).toMatchObject({ digest: A, halted: true });
    model.broken.clear();
    model.settle();
    expect(model.spec.status).not.toHaveProperty('failedRevision');
    expect(model.condition('Ready')).toMatch(/^True UpToDate/);
  });

  test('is left for what most of them ran, where never all were ready', () => {
    const model = machineOf({}, 3);
    model.pass();
    // web-0 hangs from the beginning: no node takes it.
    for (let step = 0; step < 6; step += 1) for (const name of ['web-1', 'web-2']) model.advance(name);
    model.pass();
    expect(model.spec.status).not.toHaveProperty('healthyRevision');
    model.artifact = sampleArtifact({}, 'b');
    for (let look = 0; look < 2; look += 1) model.pass();
    model.now += PATIENCE;
    model.pass();
    expect(model.spec.status).toMatchObject({
      targetDigest: A,
      failedRevision: { digest: B, halted: false },
    });
  });

  test('halts when what it was left for does not come up either', () => {
    const model = machineOf({}, 3);
    model.pass();
    for (let step = 0; step < 6; step += 1) for (const name of ['web-1', 'web-2']) model.advance(name);
    model.pass();
    model.artifact = sampleArtifact({}, 'b');
    model.broken.add(B);
    for (let round = 0; round < 4; round += 1) {
      for (let look = 0; look < 3; look += 1) model.pass();
      model.now += PATIENCE;
    }
    expect(model.spec.status).toMatchObject({ targetDigest: A, failedRevision: { digest: B, halted: true } });
    expect(model.digests.slice(1)).toEqual([A, A]);
  });

  test('does not fail while the old guest takes its time to end, nor while the machine is paused', () => {
    const model = machineOf();
    model.respecify({ terminationGracePeriodSeconds: 3600 });
    model.settle();
    model.artifact = sampleArtifact({}, 'b');
    model.pass();
    model.now += 3_600_000;
    expect(model.pass().status.failedRevision).toBeUndefined();

    const paused = stuck();
    paused.annotate({ 'linuxkit.dev/paused': 'true' });
    paused.now += 10 * PATIENCE;
    expect(paused.pass().status.failedRevision).toBeUndefined();
    paused.annotate({});
    expect(paused.pass().status.failedRevision).toBeUndefined();
    paused.now += PATIENCE;
    expect(paused.pass().status.failedRevision).toBeDefined();
  });
});

describe('going back by request', () => {
  function annotated(model: FleetModel, value: string): void {
    model.annotate({ 'linuxkit.dev/rollback-to': value });
  }

  function onB(): FleetModel {
    const model = machineOf();
    model.settle();
    model.artifact = sampleArtifact({}, 'b');
    model.settle();
    expect(model.digests).toEqual([B, B, B, B, B]);
    return model;
  }

  test.each([
    ['the previous one', 'previous'],
    ['its number', '1'],
    ['its number, asked for anew', '1@2026-11-24'],
  ])('to %s', (_title, value) => {
    const model = onB();
    annotated(model, value);
    expect(tells(model.settle())).toEqual(['Normal RolledBack', 'Normal RolledBack']);
    expect(model.digests).toEqual([A, A, A, A, A]);
    expect(model.condition('Ready')).toMatch(/^True RolledBack: asked to go back to revision 1/);
    expect(model.spec.status?.conditions?.map(({ type }) => type).sort()).toEqual(['Ready', 'RolledBack']);
    // It has become the newest, and stays until the image has another.
    expect(model.spec.status?.revisions?.map(({ number, digest }) => [number, digest])).toEqual([
      [3, A],
      [2, B],
    ]);
    model.artifact = sampleArtifact({}, 'c');
    model.settle();
    expect(model.digests).toEqual([C, C, C, C, C]);
    expect(model.spec.status).not.toHaveProperty('failedRevision');
  });

  test('to a revision that is not kept is told once', () => {
    const model = onB();
    annotated(model, '17');
    expect(tells(model.settle())).toEqual(['Warning RevisionNotFound']);
    expect(model.digests).toEqual([B, B, B, B, B]);
    expect(model.pass().observed).toEqual([]);
  });

  test('and forth again, by the revision that image and spec ask for', () => {
    const model = onB();
    annotated(model, 'previous');
    model.settle();
    annotated(model, '2');
    model.settle();
    expect(model.digests).toEqual([B, B, B, B, B]);
    expect(model.spec.status).not.toHaveProperty('failedRevision');
  });

  test('to one that does not come up goes forth to what was healthy, once', () => {
    const model = onB();
    model.broken.add(A);
    annotated(model, 'previous');
    model.settle();
    expect(model.digests).toEqual([B, B, B, B, A]);
    model.now += PATIENCE;
    model.settle();
    expect(model.digests).toEqual([B, B, B, B, B]);
    expect(model.spec.status).not.toHaveProperty('failedRevision');
    model.now += PATIENCE;
    expect(model.settle().flatMap(({ actions }) => actions)).toEqual([]);
  });

  test('brings back the spec as it was, but for what is about the machines as a whole', () => {
    const model = machineOf();
    model.settle();
    model.respecify({ kernelArgs: 'debug' });
    model.settle();
    model.respecify({ replicas: 6 });
    annotated(model, 'previous');
    model.settle();
    const args = [...model.machines.values()].map(
      ({ vm }) => vm.spec.template.spec.domain.firmware?.kernelBoot?.kernelArgs,
    );
    expect(args).toEqual(Array.from({ length: 6 }, () => 'console=ttyS0'));
  });
});
