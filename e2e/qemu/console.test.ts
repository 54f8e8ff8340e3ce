import { describe, expect, test } from 'vitest';

import { Console } from './console.ts';

describe('Console', () => {
  test('finds what was written before and what comes later, across chunks', async () => {
    const console = new Console();
    console.append(Buffer.from('boot\r\nhal'));
    const later = console.waitFor(/^hallo (\w+)$/m, 1000);
    console.append(Buffer.from('lo wor'));
    console.append(Buffer.from('ld\r\n'));
    expect((await later)[1]).toBe('wor');
    expect((await console.waitFor(/^boot$/m, 1000))[0]).toBe('boot');
  });

  test('drops escape sequences, also those cut in two', () => {
    const console = new Console();
    console.append(Buffer.from('\u001bc\u001b[?7l\u001b[2J\u001b[0'));
    console.append(Buffer.from('mSeaBIOS\r\n'));
    expect(console.lines).toEqual(['SeaBIOS', '']);
  });

  test('says what was waited for and shows the end, after the deadline and after the end', async () => {
    const console = new Console();
    console.append(Buffer.from('panic\n'));
    await expect(console.waitFor(/never/, 5)).rejects.toMatchObject({
      code: 'ConsoleSilent',
      message: expect.stringContaining('panic'),
    });
    const waiting = console.waitFor(/never/, 5000);
    console.end('QEMU ended with status 0');
    await expect(waiting).rejects.toMatchObject({ code: 'EmulatorEnded' });
  });

  test('stops waiting when told to', async () => {
    const abort = new AbortController();
    const waiting = new Console().waitFor(/never/, 5000, abort.signal);
    abort.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
  });
});
