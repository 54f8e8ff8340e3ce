import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { createLogger, lineOf } from './logger.ts';

function collecting(level: 'error' | 'warn' | 'info' | 'debug') {
  const lines: string[] = [];
  const stream = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      lines.push(
        ...chunk
          .toString('utf8')
          .split('\n')
          .filter((line) => line !== ''),
      );
      done();
    },
  });
  return { logger: createLogger({ level, stream }), lines };
}

test('a line is one JSON object whose stable keys come first', () => {
  const time = new Date(Date.UTC(2026, 0, 1));
  const fields = {
    job: 'j',
    reconcileID: 'r',
    name: 'web',
    namespace: 'n',
    controller: 'image',
    absent: undefined,
  };
  expect(lineOf('info', 'acted', fields, time)).toBe(
    '{"time":"2026-01-01T00:00:00.000Z","level":"info","message":"acted","controller":"image","namespace":"n","name":"web","reconcileID":"r","job":"j"}',
  );
});

test('fields cannot take the place of time, level and message', () => {
  const line = JSON.parse(
    lineOf('warn', 'real', { level: 'x', message: 'y', time: 'z' }, new Date(0)),
  ) as object;
  expect(line).toEqual({ time: '1970-01-01T00:00:00.000Z', level: 'warn', message: 'real' });
});

test('whatever is logged gives a line: errors with their code and cause’s shape, large numbers, line breaks', () => {
  const error = Object.assign(new TypeError('broken\nin two'), { code: 'E1' });
  const line = lineOf('error', 'a\nb', { error, big: 2n ** 70n }, new Date(0));
  expect(line).not.toContain('\n');
  expect(JSON.parse(line)).toMatchObject({
    message: 'a\nb',
    big: '1180591620717411303424',
    error: { name: 'TypeError', code: 'E1', message: 'broken\nin two' },
  });
});

test('fields that were added once are in every line, and the level can change at any time', () => {
  const { logger, lines } = collecting('info');
  const own = logger.with({ controller: 'image' }).with({ name: 'web' });
  own.debug('not shown');
  own.info('shown', { extra: 1 });
  logger.level = 'debug';
  own.debug('shown too');
  logger.level = 'error';
  own.warn('not any more');
  own.error('this');
  expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([
    { level: 'info', message: 'shown', controller: 'image', name: 'web', extra: 1 },
    { level: 'debug', message: 'shown too', controller: 'image' },
    { level: 'error', message: 'this' },
  ]);
});
