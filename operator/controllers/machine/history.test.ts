import { describe, expect, test } from 'vitest';
import { FULL_SPEC, sampleArtifact, sampleDigest, sampleMachine } from '../../kubevirt/sample.ts';
import { FleetModel } from './fleet-model.ts';
import { causeOf, readRevision, revisionObject, revisionOf } from './revision.ts';

const SEEDS = ['b', 'c', 'd', 'e', 'f'];

function rolled(limit: number): FleetModel {
  const model = new FleetModel(sampleMachine({ revisionHistoryLimit: limit }));
  model.settle();
  for (const seed of SEEDS) {
    model.artifact = sampleArtifact({}, seed);
    model.settle();
  }
  return model;
}

describe('a revision', () => {
  const machine = sampleMachine({ ...FULL_SPEC, replicas: 7 });
  const artifact = sampleArtifact({
    inputs: [{ location: 'kernel', reference: 'kernel:1', digest: sampleDigest('1') }],
  });
  const object = revisionObject(machine, revisionOf(machine, artifact), 4, 'memory');
  const stored = {
    ...object,
    metadata: { ...object.metadata, uid: 'u', creationTimestamp: '2026-11-24T10:00:00Z' },
  };

  test('is stored so that a machine can be made of it again, and of nothing else', () => {
    expect(stored).toMatchObject({ apiVersion: 'apps/v1', kind: 'ControllerRevision', revision: 4 });
    expect(stored.metadata).toMatchObject({
      name: revisionOf(machine, artifact).name,
      labels: { 'linuxkit.dev/machine': 'web' },
      ownerReferences: [{ uid: 'machine-uid', controller: true }],
    });
    const read = readRevision(JSON.parse(JSON.stringify(stored)) as typeof stored);
    expect(read).toEqual({
      ...revisionOf(machine, { ...artifact, inputs: [] }),
      uid: 'u',
      number: 4,
      created: '2026-11-24T10:00:00Z',
      cause: 'memory',
    });
    expect(read?.spec).not.toHaveProperty('replicas');
  });

  test.each([
    ['no data', {}],
    ['an artifact that is none', { data: { image: 'web', artifact: {}, spec: {} } }],
    ['a spec that no machine may have', { data: { image: 'web', artifact, spec: { memory: 'much' } } }],
    ['neither memory nor instance type', { data: { image: 'web', artifact, spec: {} } }],
  ])('with %s is not gone back to', (_title, changes) => {
    const { data: _data, ...rest } = stored;
    expect(readRevision({ ...rest, ...changes })).toBeUndefined();
  });

  test('with fields of others is read without them', () => {
    const data = { image: 'web', artifact, spec: { memory: '1Gi', replicas: 99, nonsense: 1 } };
    expect(readRevision({ ...stored, data })?.spec).toEqual({
      memory: '1Gi',
      terminationGracePeriodSeconds: 10,
      evictionStrategy: 'LiveMigrateIfPossible',
      logSerialConsole: true,
    });
  });

  test('says what made it differ', () => {
    const small = revisionOf(sampleMachine(), artifact);
    expect(causeOf(undefined, small)).toBe('first');
    expect(causeOf(small, revisionOf(sampleMachine(), sampleArtifact({}, 'b')))).toBe('artifact');
    const other = sampleMachine({ kernelArgs: 'quiet', memory: '1Gi' });
    expect(causeOf(small, revisionOf(other, artifact))).toBe('kernelArgs, memory');
    const { digest } = artifact.bootImage;
    const bootImage = { reference: `r.example/web@${digest}`, digest, repository: 'r.example/web' };
    expect(causeOf(small, revisionOf(sampleMachine(), sampleArtifact({ bootImage })))).toBe('bootImage');
    expect(causeOf(small, small)).toBe('the operator');
  });
});

describe('the history', () => {
  test.each([
    [0, ['f']],
    [2, ['f', 'e', 'd']],
    [20, ['f', 'e', 'd', 'c', 'b', 'a']],
  ])('keeps %d besides those in use, newest first', (limit, seeds) => {
    const model = rolled(limit);
    expect(model.spec.status?.revisions?.map(({ digest }) => digest)).toEqual(
      seeds.map((seed) => sampleDigest(seed)),
    );
    expect(model.revisions.size).toBe(seeds.length);
  });

  test('keeps what machines run, and what they go back to, whatever the limit', () => {
    const model = new FleetModel(
      sampleMachine({ replicas: 3, revisionHistoryLimit: 0, update: { partition: 2 } }),
    );
    model.settle();
    for (const seed of SEEDS) {
      model.artifact = sampleArtifact({}, seed);
      model.settle();
    }
    expect(model.digests).toEqual([sampleDigest('a'), sampleDigest('a'), sampleDigest('f')]);
    expect(model.spec.status?.revisions?.map(({ digest }) => digest)).toEqual([
      sampleDigest('f'),
      sampleDigest('a'),
    ]);
  });

  test('has a revision that comes back as its newest, and numbers it so', () => {
    const model = rolled(20);
    model.artifact = sampleArtifact({}, 'c');
    const first = model.pass();
    expect(first.actions[0]).toMatchObject({ kind: 'numberRevision', number: 7 });
    model.settle();
    expect(model.spec.status?.revisions?.slice(0, 2)).toMatchObject([
      { number: 7, digest: sampleDigest('c') },
      { number: 6, digest: sampleDigest('f') },
    ]);
    expect(model.pass().actions).toEqual([]);
  });

  test('stores a revision before any machine is given it', () => {
    const model = new FleetModel(sampleMachine({ replicas: 2 }));
    model.settle();
    model.artifact = sampleArtifact({}, 'b');
    expect(model.pass().actions.map(({ kind }) => kind)).toEqual([
      'createRevision',
      'applyMachine',
      'deleteInstance',
    ]);
  });
});
