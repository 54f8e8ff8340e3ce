import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createAuthority, issueServing } from '../../runtime/certificate.ts';
import { RegistryClient } from '../client.ts';
import { MEDIA_TYPES } from '../manifest.ts';
import { parseReference } from '../reference.ts';
import { digestOf } from './test-registry.ts';

const never = new AbortController().signal;
const validity = { from: Date.now() - 60_000, to: Date.now() + 3_600_000 };
const authority = createAuthority('registry authority', validity);
const manifest = Buffer.from('{"schemaVersion":2,"manifests":[]}');

let server: Server;
let name: string;

beforeEach(async () => {
  const { certificate, key } = issueServing(authority, ['localhost'], validity);
  server = createServer({ cert: certificate, key }, (_, response) => {
    response.writeHead(200, { 'content-type': MEDIA_TYPES.ociIndex }).end(manifest);
  });
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
  name = `localhost:${(server.address() as AddressInfo).port}`;
});

afterEach(async () => {
  server.closeAllConnections();
  await new Promise<void>((resolve) => server.close(() => resolve()));
});

async function fetchWith(authorities: ReadonlyMap<string, string>): Promise<unknown> {
  const retry = { attempts: 1, firstDelay: 0, maxDelay: 0, maxRetryAfter: 0 };
  await using client = new RegistryClient({ certificateAuthorities: authorities, retry });
  return await client.fetchDocument(parseReference(`${name}/team/app`), never);
}

describe('a registry with a private authority', () => {
  it('is spoken to by TLS, on loopback too', async () => {
    const authorities = new Map([[name, authority.certificate]]);
    expect(await fetchWith(authorities)).toMatchObject({ digest: digestOf(manifest) });
  });

  it('is not believed on the word of another authority', async () => {
    const other = createAuthority('registry authority', validity);
    await expect(fetchWith(new Map([[name, other.certificate]]))).rejects.toMatchObject({
      code: 'RegistryUnreachable',
      message: expect.stringMatching(/certificate|signature|issuer/i),
    });
  });

  it('lends its authority to no other registry', async () => {
    // Spoken to plainly, since no authority is named for it; the server does not understand that.
    await expect(fetchWith(new Map([['registry.example', authority.certificate]]))).rejects.toMatchObject({
      code: 'RegistryUnreachable',
    });
  });
});
