import { createServer } from 'node:net';
import { Failure } from '../progress/failure.ts';

/**
 * A TCP port on 127.0.0.1 that nobody listens on now, from below the range that the
 * kernel hands out to outgoing connections. Nothing reserves it: whoever starts a
 * server on it must be ready to see the server fail and say so.
 */
export async function findFreePort(random: () => number = Math.random): Promise<number> {
  for (let attempt = 0; attempt < 64; attempt += 1) {
    const port = 20_000 + Math.floor(random() * 10_000);
    if (await canListen(port)) return port;
  }
  throw new Failure('PortUnavailable', 'no free TCP port between 20000 and 29999 on 127.0.0.1');
}

async function canListen(port: number): Promise<boolean> {
  const server = createServer();
  return await new Promise<boolean>((resolve) => {
    server.once('error', () => {
      resolve(false);
    });
    server.listen({ host: '127.0.0.1', port, exclusive: true }, () => {
      server.close(() => {
        resolve(true);
      });
    });
  });
}
