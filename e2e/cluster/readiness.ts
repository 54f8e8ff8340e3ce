import { readFile } from 'node:fs/promises';
import { request } from 'node:https';
import { type Watched, waitFor } from '../process/wait.ts';
import type { CertificateFiles } from './certificates.ts';

/** The answer to a GET, its body cut at 64 KiB. */
export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** A GET with a client certificate, five seconds at most. */
export async function get(
  url: string,
  authority: string,
  client: CertificateFiles,
  signal: AbortSignal,
): Promise<Answer> {
  const [ca, cert, key] = await Promise.all([
    readFile(authority),
    readFile(client.certificate),
    readFile(client.key),
  ]);
  return await new Promise<Answer>((resolve, reject) => {
    const outgoing = request(
      url,
      { ca, cert, key, agent: false, signal: AbortSignal.any([signal, AbortSignal.timeout(5_000)]) },
      (incoming) => {
        let body = '';
        incoming.setEncoding('utf8');
        incoming.on('data', (chunk: string) => {
          if (body.length < 65_536) body += chunk;
        });
        incoming.once('error', reject);
        incoming.once('end', () => {
          resolve({ status: incoming.statusCode ?? 0, body });
        });
      },
    );
    outgoing.once('error', reject);
    outgoing.end();
  });
}

/** Waits until an API server says it is ready, naming what it still waits for if it never does. */
export async function waitForApiServer(
  server: string,
  authority: string,
  client: CertificateFiles,
  watched: readonly Watched[],
  signal: AbortSignal,
): Promise<void> {
  await waitFor(
    `the API server at ${server}`,
    async () => {
      const { status, body } = await get(`${server}/readyz?verbose`, authority, client, signal);
      if (status === 200) return true;
      throw new Error(`/readyz answers ${status}:\n${body}`);
    },
    { signal, timeout: 90_000, watched, interval: 100 },
  );
}
