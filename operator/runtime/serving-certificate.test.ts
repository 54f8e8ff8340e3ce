import { X509Certificate } from 'node:crypto';
import { createServer, request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { createAuthority, issueServing, validityOf } from './certificate.ts';
import { bundleOf, renewed } from './serving-certificate.ts';

const DAY = 86_400_000;
const NOW = Date.now();
const names = ['artifacts.linuxkit-system.svc', '127.0.0.1', 'fd00::1:2'];

test('an authority and what it issues are certificates by the book', () => {
  const authority = createAuthority('test authority', { from: NOW, to: NOW + 400 * DAY });
  const ca = new X509Certificate(authority.certificate);
  expect(ca.ca).toBe(true);
  expect(ca.verify(ca.publicKey)).toBe(true);
  expect(ca.subject).toBe('CN=test authority');
  const serving = new X509Certificate(
    issueServing(authority, names, { from: NOW, to: NOW + DAY }).certificate,
  );
  expect(serving.ca).toBe(false);
  expect(serving.checkIssued(ca)).toBe(true);
  expect(serving.verify(ca.publicKey)).toBe(true);
  expect(serving.subjectAltName).toBe(
    'DNS:artifacts.linuxkit-system.svc, IP Address:127.0.0.1, IP Address:FD00:0:0:0:0:0:1:2',
  );
  expect(serving.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
});

test.each([
  ['2049-12-31T23:59:59Z', '2050-01-01T00:00:00Z'],
  ['2026-02-28T00:00:00Z', '2031-02-28T12:34:56Z'],
])('times are kept to the second, before and after 2050: %s to %s', (from, to) => {
  const validity = { from: Date.parse(from), to: Date.parse(to) };
  expect(validityOf(createAuthority('x', validity).certificate)).toEqual(validity);
});

/** Asks an HTTPS server with this bundle's certificate, trusting `ca`. */
async function asked(bundle: { cert: string; key: string }, ca: string, servername: string): Promise<string> {
  const server = createServer({ cert: bundle.cert, key: bundle.key }, (_, response) => response.end('well'));
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  try {
    return await new Promise((resolve, reject) => {
      const sent = request({ host: '127.0.0.1', port, ca, servername, agent: false }, (response) => {
        response.setEncoding('utf8').on('data', resolve);
      });
      sent.on('error', reject).end();
    });
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}

test('a client that trusts the bundle reaches the server, and no other does', async () => {
  const bundle = bundleOf(renewed(undefined, ['artifacts.svc'], Date.now()));
  expect(await asked(bundle, bundle.caBundle, 'artifacts.svc')).toBe('well');
  const stranger = bundleOf(renewed(undefined, ['artifacts.svc'], Date.now()));
  await expect(asked(bundle, stranger.caBundle, 'artifacts.svc')).rejects.toThrow();
  await expect(asked(bundle, bundle.caBundle, 'elsewhere.svc')).rejects.toThrow();
});

test('nothing is renewed before its time; the serving certificate is, a month before its end', () => {
  const state = renewed(undefined, names, NOW);
  expect(renewed(state, names, NOW + 59 * DAY)).toBe(state);
  const later = renewed(state, names, NOW + 61 * DAY);
  expect(later.authority).toBe(state.authority);
  expect(later.serving).not.toBe(state.serving);
});

test('another name asks for another serving certificate', () => {
  const state = renewed(undefined, ['a.svc'], NOW);
  expect(renewed(state, ['a.svc', 'b.svc'], NOW).serving).not.toBe(state.serving);
});

test('over ten years every client that trusts what it was told a week ago is served', () => {
  let state = renewed(undefined, names, NOW);
  const told: { readonly at: number; readonly caBundle: string }[] = [];
  let authorities = 1;
  for (let day = 0; day < 3650; day += 1) {
    const now = NOW + day * DAY;
    const next = renewed(state, names, now);
    if (next.authority !== state.authority) authorities++;
    state = next;
    told.push({ at: now, caBundle: bundleOf(state).caBundle });
    expect(validityOf(state.serving.certificate).to).toBeGreaterThan(now);
    const issuer = state.authority.certificate;
    expect(told.slice(-7).filter(({ caBundle }) => !caBundle.includes(issuer))).toEqual([]);
    if (day % 100 === 0) {
      const leaf = new X509Certificate(state.serving.certificate);
      expect(leaf.verify(new X509Certificate(issuer).publicKey)).toBe(true);
    }
  }
  expect(authorities).toBeGreaterThan(2);
});
