import { describe, expect, test } from 'vitest';
import type { LinuxKitMachine } from '../../api/machine.ts';
import { metadataConfigMap } from '../../kubevirt/guest-metadata.ts';
import { sampleArtifact, sampleDigest, sampleMachine } from '../../kubevirt/sample.ts';
import type { VirtualMachine } from '../../kubevirt/types.ts';
import type { Action, Decision } from './actions.ts';
import { censusOf } from './census.ts';
import { decide } from './decide.ts';
import { contains } from './drift.ts';
import { FleetModel } from './fleet-model.ts';
import type { Snapshot } from './snapshot.ts';

const options = { bootRegistryHost: '127.0.0.1:30500' };
const now = new Date('2026-11-24T12:00:00Z');

/** A fleet that has settled as its spec says. */
function settled(spec: Readonly<Record<string, unknown>> = {}): FleetModel {
  const model = new FleetModel(sampleMachine(spec));
  for (let step = 0; step < 30; step += 1) {
    model.pass();
    for (const name of model.names) model.advance(name);
  }
  return model;
}

function decideOn(model: FleetModel, changes: Partial<Snapshot> = {}): Decision {
  return decide({ ...model.snapshot(), ...changes }, options, now);
}

function kinds(decision: Decision): readonly Action['kind'][] {
  return decision.actions.map((action) => action.kind);
}

function ready(decision: Decision): string | undefined {
  const condition = decision.status.conditions?.find((entry) => entry.type === 'Ready');
  return condition === undefined
    ? undefined
    : `${condition.status} ${condition.reason}: ${condition.message}`;
}

function types(decision: Decision): readonly string[] | undefined {
  return decision.status.conditions?.map((condition) => condition.type);
}

/** With another spec: what a user has just applied. */
function respecified(model: FleetModel, spec: Readonly<Record<string, unknown>>): LinuxKitMachine {
  const { metadata, status } = model.spec;
  return {
    ...sampleMachine(spec, { ...metadata, generation: 2 }),
    ...(status === undefined ? {} : { status }),
  };
}

describe('what to boot', () => {
  test('waits for an image that is not there, or has nothing yet, and says what that says', () => {
    const model = new FleetModel(sampleMachine());
    const without = decideOn(model, { image: undefined });
    expect(without.actions).toEqual([]);
    expect(ready(without)).toBe('False ImageNotFound: there is no LinuxKitImage web');
    expect(types(without)).toEqual(['Reconciling', 'Ready']);

    const condition = {
      type: 'Ready',
      status: 'False',
      reason: 'Building',
      message: 'job web-1 runs',
      lastTransitionTime: 'x',
    } as const;
    const building = decideOn(model, {
      image: { metadata: { name: 'web' }, status: { conditions: [condition] } },
    });
    expect(ready(building)).toBe(
      'False ImageNotReady: LinuxKitImage web has no artifact yet: Building: job web-1 runs',
    );
  });

  test('goes on with what there is when the image is gone, and says what it depends on', () => {
    const model = settled({ replicas: 2 });
    const gone = decideOn(model, { image: undefined });
    expect(gone.actions).toEqual([]);
    expect(ready(gone)).toBe(
      `False ImageNotFound: there is no LinuxKitImage web; 2 of 2 go on with what they have; this machine depends on ${sampleDigest('a')}`,
    );
    // Machines are removed, made and brought back as ever: what they boot is known.
    expect(
      kinds(decideOn(model, { machine: respecified(model, { replicas: 1 }), image: undefined })),
    ).toEqual(['deleteMachine']);
    expect(
      kinds(decideOn(model, { machine: respecified(model, { replicas: 3 }), image: undefined })),
    ).toEqual(['applyMachine']);
    const other = { replicas: 2, imageRef: { name: 'other' } };
    expect(decideOn(model, { machine: respecified(model, other), image: undefined }).actions).toEqual([]);
  });

  test('says that its image waits for it', () => {
    const model = settled();
    const { image } = model.snapshot();
    const metadata = { name: 'web', deletionTimestamp: '2026-11-24T12:00:00Z' };
    const decision = decideOn(model, { image: { ...image, metadata } });
    expect(ready(decision)).toContain(
      `LinuxKitImage web is being deleted; this machine depends on ${sampleDigest('a')}`,
    );
  });

  test('finds a pinned digest among its own revisions when the image has dropped it', () => {
    const model = settled();
    model.artifact = sampleArtifact({}, 'b');
    model.settle();
    const machine = respecified(model, { imageRef: { name: 'web', digest: sampleDigest('a') } });
    expect(decideOn(model, { machine }).status).toMatchObject({ targetDigest: sampleDigest('a') });
  });

  test('boots a pinned digest out of the history, and stalls on one that is unknown', () => {
    const model = settled();
    const image = {
      metadata: { name: 'web' },
      status: { artifact: sampleArtifact({}, 'b'), history: [sampleArtifact()] },
    };
    const pinned = (digest: string): LinuxKitMachine =>
      respecified(model, { imageRef: { name: 'web', digest } });
    const old = decideOn(model, { image, machine: pinned(sampleDigest('a')) });
    expect(old).toMatchObject({ actions: [], status: { targetDigest: sampleDigest('a') } });
    const unknown = decideOn(model, { image, machine: pinned(sampleDigest('e')) });
    expect(unknown.actions).toEqual([]);
    expect(types(unknown)).toEqual(['Ready', 'Stalled']);
    expect(ready(unknown)).toContain('False DigestNotFound');
  });
});

describe('what is done', () => {
  test('applies before it ends the instance, so that the next one has the new template', () => {
    const model = settled();
    model.artifact = sampleArtifact({}, 'b');
    const decision = decideOn(model);
    expect(kinds(decision)).toEqual(['createRevision', 'applyMachine', 'deleteInstance']);
    expect(decision.done.map((tell) => tell.note)).toEqual([
      `restarts web-0 from ${sampleDigest('a')} into ${sampleDigest('b')}`,
    ]);
  });

  test('restarts by the subresource where a deleted instance would stay away', () => {
    const model = settled({ runStrategy: 'RerunOnFailure' });
    const machine = respecified(model, { runStrategy: 'RerunOnFailure', kernelArgs: 'quiet' });
    expect(kinds(decideOn(model, { machine }))).toEqual([
      'createRevision',
      'applyMachine',
      'restartInstance',
    ]);
  });

  test('halts all at once, each with the wanted template', () => {
    const model = settled({ replicas: 3 });
    model.artifact = sampleArtifact({}, 'b');
    const machine = respecified(model, { replicas: 3, runStrategy: 'Halted' });
    expect(kinds(decideOn(model, { machine }))).toEqual([
      'createRevision',
      'applyMachine',
      'applyMachine',
      'applyMachine',
    ]);
  });

  test('takes back what somebody changed, and nothing else', () => {
    const model = settled({ replicas: 2 });
    const snapshot = model.snapshot();
    const [first, second] = snapshot.virtualMachines;
    if (first?.spec === undefined || second === undefined) throw new Error('the fleet has two');
    const changed = { ...first, spec: { ...first.spec, runStrategy: 'Halted' } };
    const decision = decide({ ...snapshot, virtualMachines: [changed, second] }, options, now);
    expect(decision.actions).toMatchObject([
      { kind: 'applyMachine', uid: first.metadata.uid, vm: { metadata: { name: 'web-0' } } },
    ]);
    expect(decision.done.map(({ note }) => note)).toEqual(['takes back what somebody changed on web-0']);
    const applied = decide(snapshot, options, now);
    expect(applied.done).toEqual([]);
  });

  test('leaves alone a machine whose turn has not come, though it differs from what is wanted', () => {
    const model = settled({ replicas: 2 });
    model.artifact = sampleArtifact({}, 'b');
    const decision = decideOn(model);
    expect(decision.actions).toMatchObject([
      { kind: 'createRevision' },
      { kind: 'applyMachine', vm: { metadata: { name: 'web-1' } } },
      { name: 'web-1' },
    ]);
  });

  test.each([
    ['somebody else’s', { ownerReferences: [] }, 'Foreign', 'Stalled', 'NameConflict'],
    [
      'left over of a deleted machine of this name',
      {
        ownerReferences: [
          {
            apiVersion: 'linuxkit.dev/v1alpha1',
            kind: 'LinuxKitMachine',
            name: 'web',
            uid: 'before',
            controller: true,
          },
        ],
      },
      'Stopping',
      'Reconciling',
      'Provisioning',
    ],
  ])('never touches one that is %s', (_title, metadata, phase, type, reason) => {
    const model = new FleetModel(sampleMachine());
    const decision = decideOn(model, {
      virtualMachines: [{ metadata: { name: 'web-0', namespace: 'default', uid: 'x', ...metadata } }],
    });
    expect(kinds(decision)).toEqual(['createRevision']);
    expect(decision.status.machines).toMatchObject([{ name: 'web-0', phase, ready: false }]);
    expect(types(decision)).toEqual([type, 'Ready']);
    expect(ready(decision)).toContain(`False ${reason}`);
  });

  test('makes nothing of a spec that would boot into silence, and restarts nothing into it', () => {
    const model = settled();
    const decision = decideOn(model, { machine: respecified(model, { memory: '64Mi' }) });
    expect(decision.actions).toEqual([]);
    expect(ready(decision)).toMatch(/^False InvalidMachine: spec\.memory: 64Mi cannot hold/);
    expect(decision.observed).toMatchObject([{ type: 'Warning', reason: 'InvalidMachine' }]);
  });

  test('makes the ConfigMap before the machine that names it, and keeps it while anything does', () => {
    const machine = sampleMachine({ metadata: { hostname: 'a' } });
    const model = new FleetModel(machine);
    expect(kinds(decideOn(model))).toEqual(['createRevision', 'createConfigMap', 'applyMachine']);
    const wanted = metadataConfigMap(machine, 0)?.metadata.name ?? '';
    const configMaps = [
      { metadata: { name: wanted, uid: '1' } },
      { metadata: { name: 'web-0-metadata-old', uid: '2' } },
    ];
    const after = decideOn(settled({ metadata: { hostname: 'a' } }), { configMaps });
    expect(after.actions).toEqual([{ kind: 'deleteConfigMap', name: 'web-0-metadata-old', uid: '2' }]);
  });
});

describe('what is said', () => {
  test('of a fleet as it should be', () => {
    const model = settled({ replicas: 2 });
    const decision = decideOn(model);
    expect(decision.status).toMatchObject({
      observedGeneration: 1,
      replicas: 2,
      readyReplicas: 2,
      availableReplicas: 2,
      unavailableReplicas: 0,
      updatedReplicas: 2,
      currentDigest: sampleDigest('a'),
      targetDigest: sampleDigest('a'),
      selector: 'linuxkit.dev/machine=web',
    });
    expect(ready(decision)).toBe(
      `True UpToDate: 2 of 2 run ${sampleDigest('a')} and are ready (without a readiness probe: QEMU runs)`,
    );
    expect(types(decision)).toEqual(['Ready']);
  });

  test('of a rollout, from its beginning to its end', () => {
    const model = settled({ replicas: 2 });
    model.artifact = sampleArtifact({}, 'b');
    const first = model.pass();
    expect(first.observed.map((tell) => tell.note)).toEqual([
      expect.stringMatching(/^rolls out revision 2, web-[0-9a-f]{10}, artifact sha256:b+, for artifact$/),
    ]);
    const half = decideOn(model);
    expect(ready(half)).toMatch(
      /^False RolloutInProgress: 0 of 2 run .*; 2 are still to be restarted into it$/,
    );
    expect(half.status).toMatchObject({
      currentDigest: sampleDigest('a'),
      targetDigest: sampleDigest('b'),
      updatedReplicas: 0,
    });
    let observed: readonly string[] = [];
    for (let step = 0; step < 20; step += 1) {
      const decision = model.pass();
      observed = [...observed, ...decision.observed.map((tell) => tell.reason)];
      for (const name of model.names) model.advance(name);
    }
    expect(observed).toEqual(['RolloutComplete']);
    expect(decideOn(model).status).toMatchObject({ currentDigest: sampleDigest('b'), updatedReplicas: 2 });
  });

  test.each([
    ['replicas: 0', { replicas: 0 }, 'True ScaledToZero'],
    ['halted', { runStrategy: 'Halted' }, 'False Provisioning: 0 of 1 are stopped'],
  ])('of %s', (_title, spec, expected) => {
    expect(ready(decideOn(new FleetModel(sampleMachine(spec))))).toContain(expected);
  });

  test('that a machine is looked at again when it will have been ready for long enough', () => {
    const model = settled({ update: { minReadySeconds: 3600 * 3 } });
    // Ready since 12:00.
    const decision = decide(model.snapshot(), options, new Date('2026-11-24T14:00:00Z'));
    expect(decision.requeueAfterMs).toBe(3_600_000);
    expect(decision.status).toMatchObject({
      readyReplicas: 1,
      availableReplicas: 0,
      unavailableReplicas: 1,
    });
    expect(ready(decision)).toContain('False GuestNotReady');
  });

  test.each([
    [2, 1024],
    [1000, 262],
  ])('of %d machines that fail, in at most %d characters each', (replicas, most) => {
    const model = new FleetModel(sampleMachine({ replicas }));
    model.pass();
    for (const name of model.names) model.advance(name);
    const { instances } = model.snapshot();
    const conditions = [
      { type: 'Synchronized', status: 'False', reason: 'ErrImagePull', message: 'x'.repeat(4000) },
    ];
    const failing = instances.map((vmi) => ({ ...vmi, status: { phase: 'Pending', conditions } }));
    const { status } = decideOn(model, { instances: failing });
    expect(new Set(status.machines?.map(({ message }) => message?.length))).toEqual(new Set([most]));
    // Half of what the API server stores of one object, which also keeps whose each field is.
    expect(JSON.stringify(status).length).toBeLessThan(0.75 * 2 ** 20);
  });

  test('nothing new the second time', () => {
    const model = settled();
    const { status } = model.pass();
    const again = decide(model.snapshot(), options, new Date(now.getTime() + 60_000));
    expect(again.status).toEqual(status);
    expect(again.observed).toEqual([]);
  });

  test('of a restart that was asked for, also after the annotation is taken away', () => {
    const model = settled();
    const annotations = { 'linuxkit.dev/restart-requested-at': 'T1' };
    model.spec = { ...model.spec, metadata: { ...model.spec.metadata, annotations } };
    const asked = decideOn(model);
    expect(kinds(asked)).toEqual(['applyMachine', 'deleteInstance']);
    expect(asked.status.lastHandledRestart).toBe('T1');
    model.pass();
    for (let step = 0; step < 5; step += 1) model.advance('web-0');
    const { annotations: _, ...metadata } = model.spec.metadata;
    model.spec = { ...model.spec, metadata };
    expect(kinds(decideOn(model))).toEqual([]);
  });
});

describe('contains', () => {
  const vm = {
    spec: { a: [{ name: 'x', added: true }], memory: '1Gi', other: 1 },
  } as unknown as VirtualMachine;
  test.each([
    [{ spec: { a: [{ name: 'x' }] } }, true],
    [{ spec: { memory: '1024Mi' } }, true],
    [{ spec: { a: [{ name: 'y' }] } }, false],
    [{ spec: { a: [] } }, false],
    [{ spec: { missing: {} } }, false],
    [{ spec: { absent: undefined } }, true],
  ])('%j: %j', (part, expected) => {
    expect(contains(vm, part)).toBe(expected);
  });
});

test('the census counts machines by phase, and by whether they run what is wanted', () => {
  expect(
    censusOf([
      {
        status: {
          machines: [
            { phase: 'Running', updated: true },
            { phase: 'Running', updated: false, bootedDigest: 'a' },
          ],
        },
      },
      { status: { machines: [{ phase: 'Pending', updated: false }] } },
      {},
    ]),
  ).toEqual({ states: { Running: 2, Pending: 1 }, digests: { current: 1, outdated: 1, unknown: 1 } });
});
