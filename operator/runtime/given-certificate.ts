import { X509Certificate } from 'node:crypto';
import { CodedError, messageOf } from '../errors.ts';
import type { Stored } from './objects.ts';
import type { Secret } from './resources.ts';
import type { ServingBundle } from './serving-certificate.ts';

export class GivenCertificateError extends CodedError<'CertificateNotGiven' | 'CertificateUnusable'> {}

/**
 * What somebody else, cert-manager for one, has put into a Secret of type kubernetes.io/tls. The
 * authority has to be told in `ca.crt`: build pods trust what they are told, and no public list.
 *
 * @throws GivenCertificateError `CertificateNotGiven` while a key is missing, `CertificateUnusable` for
 * a certificate that cannot be read or is not for every one of `names`.
 */
export function givenBundle(
  secret: Stored<Secret> | undefined,
  secretName: string,
  names: readonly string[],
): ServingBundle {
  const read = (key: string): string => {
    const value = Buffer.from(secret?.data?.[key] ?? '', 'base64').toString('utf8');
    if (value !== '') return value;
    throw new GivenCertificateError(
      'CertificateNotGiven',
      secret === undefined
        ? `Secret ${secretName} is not there yet: see whether its Certificate was issued`
        : `Secret ${secretName} has no ${key}: see whether its Certificate was issued, and by an issuer that tells its authority`,
    );
  };
  const bundle = { cert: read('tls.crt'), key: read('tls.key'), caBundle: read('ca.crt') };
  const missing = names.filter((name) => parsed(bundle.cert, secretName).checkHost(name) === undefined);
  if (missing.length === 0) return bundle;
  throw new GivenCertificateError(
    'CertificateUnusable',
    `the certificate in Secret ${secretName} is not for ${missing.join(', ')}: add it to the Certificate's dnsNames`,
  );
}

function parsed(certificate: string, secretName: string): X509Certificate {
  try {
    return new X509Certificate(certificate);
  } catch (error) {
    throw new GivenCertificateError(
      'CertificateUnusable',
      `tls.crt in Secret ${secretName} is no certificate: ${messageOf(error)}`,
      { cause: error },
    );
  }
}
