import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { waitFor } from '../../e2e/process/wait.ts';
import { LogLevelFile } from './log-level-file.ts';
import { createLogger, type LogLevel } from './logger.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'log-level-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

/** As kubelet does it: a new folder, and a link to it that takes the place of the one before. */
async function mount(level: string, version: number): Promise<void> {
  await mkdir(join(folder, `..${version}`));
  await writeFile(join(folder, `..${version}`, 'manager'), level);
  await symlink(`..${version}`, join(folder, '..data_tmp'));
  await rename(join(folder, '..data_tmp'), join(folder, '..data'));
  if (version === 1) await symlink('..data/manager', join(folder, 'manager'));
}

function logging(level: LogLevel) {
  const stream = new PassThrough();
  const lines: string[] = [];
  stream.on('data', (chunk: Buffer) => lines.push(...chunk.toString('utf8').split('\n').filter(Boolean)));
  const logger = createLogger({ level, stream });
  const messages = (): unknown[] => lines.map((line) => (JSON.parse(line) as { message: string }).message);
  return { logger, lines, messages };
}

test('the level follows a mounted ConfigMap while the program runs, also of loggers made before', async () => {
  const { logger, lines } = logging('info');
  const own = logger.with({ controller: 'image' });
  await mount('warn\n', 1);
  const stop = new AbortController();
  const signal = AbortSignal.timeout(10_000);
  const following = new LogLevelFile(logger, join(folder, 'manager'), { everyMs: 5 }).follow(stop.signal);
  await waitFor('the first level', () => logger.level === 'warn', { signal, timeout: 10_000, interval: 5 });
  own.info('not shown');
  await mount('debug', 2);
  await waitFor('the second level', () => logger.level === 'debug', { signal, timeout: 10_000, interval: 5 });
  own.debug('shown');
  stop.abort();
  await following;
  expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([
    { level: 'info', message: 'log level changed', from: 'info', to: 'warn' },
    { level: 'info', message: 'log level changed', from: 'warn', to: 'debug' },
    { level: 'debug', message: 'shown', controller: 'image' },
  ]);
});

test.each(['loud', '', 'x'.repeat(10_000)])(
  'what is no level is told of once, and changes nothing',
  async (text) => {
    const { logger, messages } = logging('warn');
    const file = new LogLevelFile(logger, join(folder, 'level'));
    await writeFile(join(folder, 'level'), text);
    await file.read();
    await file.read();
    expect(logger.level).toBe('warn');
    expect(messages()).toEqual(['the log level stays as it is: the file names none']);
  },
);

test('without the file the level stays as it is, in silence', async () => {
  const { logger, messages } = logging('info');
  await new LogLevelFile(logger, join(folder, 'absent')).read();
  expect(logger.level).toBe('info');
  expect(messages()).toEqual([]);
});
