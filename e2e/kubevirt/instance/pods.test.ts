import { expect, it } from 'vitest';
import type { Pod } from '../api/types.ts';
import { MIGRATION_LABEL, SOURCE_POD_ANNOTATION } from '../launcher/launcher-pod.ts';
import { samplePod } from '../sample.ts';
import { activePod } from './pods.ts';

type State = Parameters<typeof samplePod>[0];
const RUNS: State = { running: {} };
const MOVED: State = { terminated: { exitCode: 0, message: 'migrated' } };
const CRASHED: State = { terminated: { exitCode: 1 } };

function pod(name: string, state: State, source?: string): Pod {
  return samplePod(state, ({ metadata }) => {
    metadata.name = name;
    if (source === undefined) return;
    metadata.labels = { [MIGRATION_LABEL]: name };
    metadata.annotations = { [SOURCE_POD_ANNOTATION]: source };
  });
}

it.each<[string, Pod[], string | undefined]>([
  ['none', [], undefined],
  ['the first', [pod('a', RUNS)], 'a'],
  ['the source, while a target waits', [pod('b', RUNS, 'a'), pod('a', RUNS)], 'a'],
  ['the target, once the source has handed over', [pod('a', MOVED), pod('b', RUNS, 'a')], 'b'],
  ['the last of a chain', [pod('c', RUNS, 'b'), pod('a', MOVED), pod('b', MOVED, 'a')], 'c'],
  [
    'the target that did not fail before',
    [pod('a', MOVED), pod('b', CRASHED, 'a'), pod('c', RUNS, 'a')],
    'c',
  ],
  ['the target whose source was cleared away', [pod('b', RUNS, 'a')], 'b'],
  ['the source, where there is no target', [pod('a', MOVED)], 'a'],
  ['the source that crashed in the middle', [pod('a', CRASHED), pod('b', RUNS, 'a')], 'a'],
])('the machine is in %s', (_name, pods, expected) => {
  expect(activePod(pods)?.metadata.name).toBe(expected);
});
