import { describe, expect, it } from 'vitest';
import { sha256Digest } from '../../oci/types.ts';
import { conditions, IMAGE, MACHINE, NOW } from './examples.ts';
import { imageHistory, machineHistory } from './history-view.ts';
import { imageDetail, machineDetail, statusOverview } from './status-view.ts';
import { COLOURED, PLAIN } from './table.ts';

const view = { now: NOW, paint: PLAIN, namespaces: false };
const none = { images: [], machines: [] };
const stored = <T extends { readonly metadata: object }>(object: T) => ({
  ...object,
  metadata: { ...object.metadata, uid: 'u', resourceVersion: '1' },
});

describe('status', () => {
  it('shows a row an image and a machine', () => {
    const found = { images: [stored(IMAGE)], machines: [stored(MACHINE)] };
    expect(statusOverview(found as never, view)).toBe(
      [
        'IMAGE   READY   REASON      BUILD   DIGEST             BUILT',
        'web     True    Available   -       sha256:aaaaaaaa…   30m',
        '',
        'MACHINE   READY   REASON       UP    UPDATED   IMAGE   DIGEST             AGE',
        'web       False   RolledBack   1/2   1/2       web     sha256:cccccccc…   2h',
        '',
      ].join('\n'),
    );
  });

  it('names namespaces when there may be several, and says when there is nothing', () => {
    const found = { images: [stored(IMAGE)], machines: [] };
    expect(statusOverview(found as never, { ...view, namespaces: true })).toMatch(
      /^NAMESPACE {3}IMAGE.*\ntenant +web /,
    );
    expect(statusOverview(none, view)).toBe('There are no images and no machines here.\n');
  });

  it('knows an image that nobody has looked at', () => {
    const fresh = stored({ ...IMAGE, status: {} });
    expect(statusOverview({ images: [fresh], machines: [] }, view)).toContain(
      'web     Unknown   -        -       -        -\n',
    );
    expect(imageDetail(fresh, view)).toContain('Ready:        nobody has looked at it yet\n');
  });

  it('tells of a build under way and of the last failure', () => {
    const status = {
      conditions: conditions('False', 'ImageNotFound', 'no such tag', 'Stalled'),
      build: {
        job: 'web-0123',
        hash: '0123',
        reason: 'Refresh',
        startTime: '2026-11-24T11:58:00Z',
        phase: 'Running',
      },
      lastFailure: {
        step: 'resolve',
        reason: 'ImageNotFound',
        message: 'no such\u001B[2J tag',
        time: '2026-11-24T11:50:00Z',
        buildHash: '0123',
      },
    } as const;
    expect(imageDetail({ ...IMAGE, status }, view)).toBe(
      [
        'Image:        tenant/web',
        'Ready:        False ImageNotFound: no such tag',
        'Artifact:     none yet',
        'Building:     Running 2m (Refresh), Job web-0123',
        'Last failure: ImageNotFound in resolve, 10m ago: no such\uFFFD[2J tag',
        'Earlier:      0 artifacts kept',
        '',
      ].join('\n'),
    );
  });

  it('tells all of an artifact', () => {
    expect(imageDetail(IMAGE, view)).toContain(
      [
        `Artifact:     sha256:${'a'.repeat(64)}`,
        'Built:        30m ago (SpecChanged), of 0 images',
        'Files:        kernel 1.5 MB, initrd 1.5 MB (zstd), amd64',
        'Command line: console=ttyS0',
        'Earlier:      1 artifacts kept',
      ].join('\n'),
    );
  });

  it('tells who signed which input, and of which no signature was asked for', () => {
    const digest = sha256Digest('d'.repeat(64));
    const input = (location: string, verifiedBy?: string) => ({
      location,
      reference: `registry.example/${location}`,
      digest,
      ...(verifiedBy === undefined ? {} : { verifiedBy }),
    });
    const told = (...inputs: readonly ReturnType<typeof input>[]) => {
      const { artifact } = IMAGE.status ?? {};
      if (artifact === undefined) throw new Error('the example has no artifact');
      return imageDetail({ ...IMAGE, status: { artifact: { ...artifact, inputs } } }, view);
    };
    const key = 'key 0123456789abcdef';
    expect(
      told(input('kernel', key), input('init[0]'), input('init[1]', key), input('onboot[0]', 'ci@team')),
    ).toContain(
      [
        'Command line: console=ttyS0',
        `Signed:       kernel, init[1] by ${key}`,
        'Signed:       onboot[0] by ci@team',
        'Not verified: no signature of init[0] was asked for',
        'Earlier:',
      ].join('\n'),
    );
    expect(told(input('kernel'))).toContain('Not verified: no signature of any image was asked for\n');
    expect(told(input('kernel', key))).not.toContain('Not verified');
  });

  it('tells all of a machine and its virtual machines', () => {
    const text = machineDetail(MACHINE, view);
    expect(text).toContain(
      'Failed:       web-2, 10m ago, ProgressDeadlineExceeded: web-1 was not ready after 600 s\n',
    );
    expect(text).toContain('web-0   Running   yes     yes       sha256:cccccccc…   node-1   10.0.0.7\n');
    expect(text).toContain(
      'web-1   Failing   no      no        -                  -        -          no such node\n',
    );
    expect(machineDetail(MACHINE, { ...view, paint: COLOURED })).toContain('\u001B[31mFailing\u001B[0m');
  });
});

describe('history', () => {
  it('lists artifacts, the current one first', () => {
    expect(imageHistory(IMAGE, view)).toBe(
      [
        'image/web',
        `DIGEST${' '.repeat(68)}STATE     BUILT   WHY           BUILD`,
        `sha256:${'a'.repeat(64)}   current   30m     SpecChanged   0123456789`,
        `sha256:${'c'.repeat(64)}   kept      2h      Created       0123456789`,
        '',
      ].join('\n'),
    );
    expect(imageHistory({ ...IMAGE, status: {} }, view)).toBe('image/web has no artifact yet.\n');
  });

  it.each([
    [{}, ['failed', 'running']],
    [
      { failedRevision: { ...MACHINE.status?.failedRevision, reason: 'RollbackRequested' } },
      ['left', 'running'],
    ],
    [{ failedRevision: undefined, targetRevision: 'web-2' }, ['rolling out', 'running']],
    [
      { failedRevision: undefined, targetRevision: 'web-2', currentRevision: 'web-2' },
      ['running', 'healthy'],
    ],
    [{ targetRevision: 'web-2', currentRevision: 'web-2', healthyRevision: undefined }, ['failed', 'kept']],
  ])('tells what revisions are: %j', (changed, standings) => {
    const status = Object.fromEntries(
      Object.entries({ ...MACHINE.status, ...changed }).filter(([, value]) => value !== undefined),
    );
    const rows = machineHistory({ ...MACHINE, status }, view)
      .trimEnd()
      .split('\n')
      .slice(2);
    expect(rows.map((row) => row.split(/ {3,}/)[2])).toEqual(standings);
  });

  it('says when there is no revision', () => {
    expect(machineHistory({ ...MACHINE, status: {} }, view)).toBe('machine/web has no revision yet.\n');
  });
});
