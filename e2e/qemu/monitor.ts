import { connect } from 'node:net';
import { createInterface } from 'node:readline';

import { QemuError } from './qemu-error.ts';

/** Milliseconds in which the monitor must have answered. */
const ANSWER_DEADLINE = 10_000;

/** Gives one command without arguments to QEMU's machine protocol on a Unix socket (QMP specification). */
export async function monitorCommand(socketPath: string, command: string): Promise<unknown> {
  const socket = connect(socketPath);
  socket.setTimeout(ANSWER_DEADLINE, () => socket.destroy(new Error('no answer in time')));
  try {
    let greeted = false;
    for await (const line of createInterface({ input: socket })) {
      const message = JSON.parse(line) as Readonly<Record<string, unknown>>;
      if ('error' in message)
        throw new QemuError('MonitorFailed', `${command}: ${JSON.stringify(message['error'])}`);
      if ('QMP' in message) {
        socket.write('{"execute":"qmp_capabilities"}\n');
      } else if ('return' in message) {
        if (greeted) return message['return'];
        greeted = true;
        socket.write(`${JSON.stringify({ execute: command })}\n`);
      }
    }
    throw new QemuError('MonitorFailed', `${command}: the monitor closed without an answer`);
  } finally {
    socket.destroy();
  }
}
