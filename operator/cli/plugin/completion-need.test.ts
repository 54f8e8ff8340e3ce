import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { clusterFlagsIn, needOf } from './completion-need.ts';
import { registerPlugin } from './plugin.ts';

const program = new Command();
registerPlugin(program);
const [plugin = program] = program.commands;
const values = (...words: string[]) => {
  const need = needOf(plugin, words);
  return need.kind === 'fixed' ? need.candidates.map(({ value }) => value) : need.kind;
};

describe('what is completed', () => {
  it('subcommands, but for the one that completes', () => {
    expect(values('')).toEqual(
      expect.arrayContaining(['status', 'logs', 'rebuild', 'console', 'download', 'history', 'rollback']),
    );
    expect(values('')).not.toContain('__complete');
  });

  it('options', () => {
    expect(values('rollback', 'web', '--')).toEqual(
      expect.arrayContaining(['--to', '--wait', '--namespace']),
    );
  });

  it.each([
    [['logs', ''], 'images'],
    [['rollback', ''], 'machines'],
    [['status', 'web', ''], 'both'],
    [['logs', 'web', ''], 'nothing'],
    [['logs', '--follow', ''], 'images'],
    [['logs', '--tail', '5', ''], 'images'],
    [['logs', '--tail', ''], 'nothing'],
    [['logs', '-n', ''], 'namespaces'],
    [['logs', '--namespace=te'], 'namespaces'],
    [['logs', '--namespace', '=', 'te'], 'namespaces'],
    [['download', 'web', '--to', ''], 'files'],
    [['no-such-thing', ''], 'nothing'],
  ])('%j', (words, kind) => {
    expect(values(...words)).toBe(kind);
  });

  it('what an option or an argument can be', () => {
    expect(values('status', '-o', '')).toEqual(['json']);
    expect(values('completion', '')).toEqual(['bash', 'zsh', 'fish']);
  });

  it('revisions and digests of what is named', () => {
    expect(needOf(plugin, ['rollback', 'machine/web', '--to', ''])).toEqual({
      kind: 'revisions',
      machine: 'web',
    });
    expect(needOf(plugin, ['rollback', '--to', ''])).toEqual({ kind: 'nothing' });
    expect(needOf(plugin, ['download', 'web', '--digest', 'ab'])).toEqual({ kind: 'digests', image: 'web' });
  });
});

it.each([
  [['logs', '-n', 'tenant', ''], { namespace: 'tenant' }],
  [['logs', '--namespace', '=', 'tenant', '--context=here', 'w'], { namespace: 'tenant', context: 'here' }],
  [['logs', '--kubeconfig', '/tmp/k', 'w'], { kubeconfig: '/tmp/k' }],
  [['logs', '-n', 'ten'], {}],
])('%j chooses %j', (words, flags) => {
  expect(clusterFlagsIn(words)).toEqual(flags);
});
