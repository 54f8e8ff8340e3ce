import { describe, expect, it } from 'vitest';
import { chosenArtifact } from './download.ts';
import { conditions, IMAGE, MACHINE, NOW } from './examples.ts';
import { forwardedPort } from './port-forward.ts';
import { rebuildProgress, rollbackProgress } from './progress.ts';
import { rollbackRequest, rollbackToken } from './rollback-request.ts';

const build = { job: 'web-01', hash: '01', reason: 'Requested', startTime: '2026-11-24T11:59:00Z' } as const;
const ready = conditions('True', 'Available', 'stored');

describe('a rebuild', () => {
  it.each([
    ['not yet seen', {}, 'asked'],
    ['an earlier request', { lastHandledRebuild: 'before', conditions: ready }, 'asked'],
    ['building', { lastHandledRebuild: 'now', build, conditions: ready }, 'working'],
    ['done', { lastHandledRebuild: 'now', conditions: ready }, 'done'],
    [
      'failed for good',
      { lastHandledRebuild: 'now', conditions: conditions('False', 'X', 'x', 'Stalled') },
      'failed',
    ],
    [
      'before another try',
      { lastHandledRebuild: 'now', conditions: conditions('False', 'X', 'x', 'Reconciling') },
      'working',
    ],
    [
      'available, and another try to come',
      { lastHandledRebuild: 'now', conditions: conditions('True', 'X', 'x', 'Reconciling') },
      'working',
    ],
    [
      'failed for good, the artifact of before stays',
      { lastHandledRebuild: 'now', conditions: conditions('True', 'X', 'x', 'Stalled') },
      'failed',
    ],
  ] as const)('%s', (_, status, state) => {
    expect(rebuildProgress(status, 'now').state).toBe(state);
  });

  it('ends with the artifact', () => {
    expect(rebuildProgress({ ...IMAGE.status, lastHandledRebuild: 'now' }, 'now').text).toContain(
      'sha256:aaaa',
    );
  });
});

describe('a rollback', () => {
  it.each([
    ['previous', { to: 'previous' }],
    ['1', { to: '1', revision: { name: 'web-1', number: 1, digest: `sha256:${'c'.repeat(64)}` } }],
    ['web-2', { to: '2', revision: { name: 'web-2', number: 2, digest: `sha256:${'a'.repeat(64)}` } }],
  ])('to %s', (to, request) => {
    expect(rollbackRequest('web', MACHINE.status, to)).toEqual(request);
  });

  it.each([
    ['3', MACHINE.status, 'keeps no revision "3"; there are: 2, 1'],
    ['1', {}, 'there are: none'],
    [
      'previous',
      { revisions: MACHINE.status?.revisions?.slice(0, 1) ?? [] },
      'has no revision before the present one',
    ],
  ])('to %s is refused', (to, status, message) => {
    expect(() => rollbackRequest('web', status, to)).toThrow(message);
  });

  it('is a new request each time, short enough to be remembered whole', () => {
    expect(rollbackToken('previous', NOW)).toBe('previous@2026-11-24T12:00:00.000Z');
    expect(rollbackToken(String(Number.MAX_SAFE_INTEGER), NOW).length).toBeLessThan(256);
  });

  it('is done when all is well again', () => {
    const status = { ...MACHINE.status, lastHandledRollback: 'previous@now' };
    expect(rollbackProgress(status, 'previous@then').state).toBe('asked');
    expect(rollbackProgress(status, 'previous@now').state).toBe('working');
    expect(rollbackProgress({ ...status, conditions: ready }, 'previous@now')).toEqual({
      state: 'done',
      text: 'runs revision web-1',
    });
  });
});

describe('the artifact to download', () => {
  it.each([
    [undefined, 'a'],
    ['sha256:cccc', 'c'],
    ['cc', 'c'],
  ])('%s', (digest, digit) => {
    expect(chosenArtifact(IMAGE, digest).digest).toBe(`sha256:${digit.repeat(64)}`);
  });

  it.each([
    ['dd', 'NotFound'],
    ['', 'InvalidName'],
  ])('%j is refused', (digest, code) => {
    expect(() => chosenArtifact(IMAGE, digest)).toThrow(expect.objectContaining({ code }));
  });

  it('is none before the first build', () => {
    expect(() => chosenArtifact({ ...IMAGE, status: {} }, undefined)).toThrow('has no artifact yet');
  });
});

it.each([
  ['Forwarding from 127.0.0.1:41234 -> 5117', 41_234],
  ['Forwarding from [::1]:41234 -> 5117', undefined],
  ['Forwarding from 127.0.0.1:99999 -> 5117', undefined],
  ['Handling connection for 41234', undefined],
])('%s', (line, port) => {
  expect(forwardedPort(line)).toBe(port);
});
