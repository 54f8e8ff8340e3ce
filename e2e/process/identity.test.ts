import { spawn } from 'node:child_process';
import { expect, test } from 'vitest';
import { childrenOf, identify, isRunning, parseStat, signalProcess } from './identity.ts';

test('reads a process whose name holds blanks and parentheses', () => {
  const fields = ['S', '41', ...Array.from({ length: 17 }, () => '0'), '9876', '0'];
  expect(parseStat(`42 (a) b (c) ${fields.join(' ')}`)).toEqual({ state: 'S', parent: 41, startTime: 9876 });
});

test.each(['', '42 (short) S', '42 (x) S notanumber'])('refuses what is no stat line: %j', (text) => {
  expect(parseStat(text)).toBeUndefined();
});

test('knows a process from another one that got the same number', async () => {
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const identity = identify(child.pid ?? -1);
  if (identity === undefined) throw new Error('sleep did not start');
  expect(isRunning(identity)).toBe(true);
  expect(childrenOf(process.pid)).toContainEqual(identity);
  expect(isRunning({ ...identity, startTime: identity.startTime - 1 })).toBe(false);
  expect(signalProcess({ ...identity, startTime: identity.startTime - 1 }, 'SIGKILL')).toBe(false);
  expect(signalProcess(identity, 'SIGKILL')).toBe(true);
  await ended;
  expect(isRunning(identity)).toBe(false);
});
