import {
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from 'node:crypto';
import { isIP } from 'node:net';
import {
  bitString,
  boolean,
  explicit,
  implicit,
  integer,
  objectIdentifier,
  octetString,
  sequence,
  set,
  time,
  utf8String,
} from './der.ts';

/** A certificate and its private key, both PEM. */
export interface KeyedCertificate {
  readonly certificate: string;
  readonly key: string;
}

export interface Validity {
  /** Milliseconds since the epoch. */
  readonly from: number;
  readonly to: number;
}

const OID = {
  commonName: '2.5.4.3',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
} as const;

/** Bits of KeyUsage, first one highest (RFC 5280, 4.2.1.3), and how many of the byte are unused. */
const USAGE = { digitalSignature: [0x80, 7], certAndCrlSign: [0x06, 1] } as const;

/** A certificate authority that signs itself (RFC 5280): ECDSA with P-256. */
export function createAuthority(commonName: string, validity: Validity): KeyedCertificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const certificate = issue({
    subject: commonName,
    issuer: commonName,
    publicKey,
    issuerKey: privateKey,
    authorityKeyId: keyIdentifier(publicKey),
    validity,
    extensions: [
      extension(OID.basicConstraints, true, sequence(boolean(true), integer(Uint8Array.of(0)))),
      extension(OID.keyUsage, true, usage('certAndCrlSign')),
    ],
  });
  return { certificate, key: pkcs8(privateKey) };
}

/** A serving certificate for `names`, host names or addresses. The first one is also its common name. */
export function issueServing(
  authority: KeyedCertificate,
  names: readonly string[],
  validity: Validity,
): KeyedCertificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const issuer = new X509Certificate(authority.certificate);
  const certificate = issue({
    subject: (names[0] ?? '').slice(0, 64),
    issuer: commonNameOf(issuer),
    publicKey,
    issuerKey: createPrivateKey(authority.key),
    authorityKeyId: keyIdentifier(issuer.publicKey),
    validity,
    extensions: [
      extension(OID.basicConstraints, true, sequence()),
      extension(OID.keyUsage, true, usage('digitalSignature')),
      extension(OID.extKeyUsage, false, sequence(objectIdentifier(OID.serverAuth))),
      extension(OID.subjectAltName, false, sequence(...names.map(generalName))),
    ],
  });
  return { certificate, key: pkcs8(privateKey) };
}

/** When a certificate holds. Throws on what is no certificate. */
export function validityOf(certificate: string): Validity {
  const { validFromDate, validToDate } = new X509Certificate(certificate);
  return { from: validFromDate.getTime(), to: validToDate.getTime() };
}

function issue(content: {
  readonly subject: string;
  readonly issuer: string;
  readonly publicKey: KeyObject;
  readonly issuerKey: KeyObject;
  readonly authorityKeyId: Uint8Array;
  readonly validity: Validity;
  readonly extensions: readonly Uint8Array[];
}): string {
  const algorithm = sequence(objectIdentifier(OID.ecdsaWithSha256));
  const serial = randomBytes(16);
  const body = sequence(
    explicit(0, integer(Uint8Array.of(2))),
    integer(serial),
    algorithm,
    name(content.issuer),
    sequence(time(content.validity.from), time(content.validity.to)),
    name(content.subject),
    spki(content.publicKey),
    explicit(
      3,
      sequence(
        ...content.extensions,
        extension(OID.subjectKeyIdentifier, false, octetString(keyIdentifier(content.publicKey))),
        extension(OID.authorityKeyIdentifier, false, sequence(implicit(0, content.authorityKeyId))),
      ),
    ),
  );
  const signature = sign('sha256', body, { key: content.issuerKey, dsaEncoding: 'der' });
  return pem('CERTIFICATE', sequence(body, algorithm, bitString(signature)));
}

function extension(oid: string, critical: boolean, value: Uint8Array): Uint8Array {
  return sequence(objectIdentifier(oid), ...(critical ? [boolean(true)] : []), octetString(value));
}

function usage(kind: keyof typeof USAGE): Uint8Array {
  const [bits, unused] = USAGE[kind];
  return bitString(Uint8Array.of(bits), unused);
}

function name(commonName: string): Uint8Array {
  return sequence(set(sequence(objectIdentifier(OID.commonName), utf8String(commonName))));
}

/** RFC 5280, 4.2.1.6: dNSName is 2, iPAddress is 7. */
function generalName(host: string): Uint8Array {
  return isIP(host) === 0 ? implicit(2, Buffer.from(host, 'ascii')) : implicit(7, addressBytes(host));
}

function addressBytes(address: string): Uint8Array {
  if (isIP(address) === 4) return Uint8Array.from(address.split('.').map(Number));
  // The URL parser writes every IPv6 address in one way; `::` stands for as many zeros as are missing.
  const [head = '', tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::');
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'));
  const before = groups(head);
  const after = groups(tail ?? '');
  const all = [...before, ...Array.from({ length: 8 - before.length - after.length }, () => '0'), ...after];
  return Uint8Array.from(
    all.flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff]),
  );
}

function spki(key: KeyObject): Uint8Array {
  return key.export({ type: 'spki', format: 'der' });
}

/** RFC 7093, section 2, method 1: the leading 160 bits of the SHA-256 of the key. */
function keyIdentifier(key: KeyObject): Uint8Array {
  return createHash('sha256').update(spki(key)).digest().subarray(0, 20);
}

function commonNameOf(certificate: X509Certificate): string {
  return /^CN=(.*)$/m.exec(certificate.subject)?.[1] ?? '';
}

function pkcs8(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

function pem(label: string, der: Uint8Array): string {
  const base64 = Buffer.from(der).toString('base64').replace(/.{64}/g, '$&\n').trimEnd();
  return `-----BEGIN ${label}-----\n${base64}\n-----END ${label}-----\n`;
}
