import { expect, test } from 'vitest';
import { GivenCertificateError, givenBundle } from './given-certificate.ts';
import type { Stored } from './objects.ts';
import type { Secret } from './resources.ts';
import { bundleOf, renewed } from './serving-certificate.ts';

const made = bundleOf(renewed(undefined, ['artifacts.system.svc'], Date.now()));
const whole = { 'tls.crt': made.cert, 'tls.key': made.key, 'ca.crt': made.caBundle };

function secret(data: Readonly<Record<string, string>>): Stored<Secret> {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'tls', namespace: 'system', uid: 'u', resourceVersion: '1' },
    data: Object.fromEntries(
      Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')]),
    ),
  };
}

test('what the Secret holds is taken as it is', () => {
  expect(givenBundle(secret(whole), 'tls', ['artifacts.system.svc'])).toEqual(made);
});

test.each([
  ['CertificateNotGiven', undefined, 'is not there yet'],
  ['CertificateNotGiven', secret({}), 'has no tls.crt'],
  ['CertificateNotGiven', secret({ ...whole, 'ca.crt': '' }), 'has no ca.crt'],
  ['CertificateUnusable', secret({ ...whole, 'tls.crt': 'nonsense' }), 'is no certificate'],
])('%s: %#', (code, given, text) => {
  const read = () => givenBundle(given, 'tls', ['artifacts.system.svc']);
  expect(read).toThrow(GivenCertificateError);
  expect(read).toThrow(expect.objectContaining({ code, message: expect.stringContaining(text) }));
});

test('a certificate for another name is refused, and its key is told to nobody', () => {
  const read = () => givenBundle(secret(whole), 'tls', ['other.system.svc']);
  expect(read).toThrow(/is not for other\.system\.svc/);
  expect(read).not.toThrow(made.key.slice(40, 80));
});
