import { createHash, generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fulcioHandler, initializeCA, initializeCTLog, initializeTLog } from '@sigstore/mock';
import { HashAlgorithm, PublicKeyDetails, TrustedRoot } from '@sigstore/protobuf-specs';

type Authority = Awaited<ReturnType<typeof initializeCA>>;
type CertificateLog = Awaited<ReturnType<typeof initializeCTLog>>;
type TransparencyLog = Awaited<ReturnType<typeof initializeTLog>>;

/** An entry as the log answers it (rekor, openapi.yaml, "LogEntry"). */
export interface LogEntry {
  readonly body: string;
  readonly integratedTime: number;
  readonly logID: string;
  readonly logIndex: number;
  readonly verification: {
    readonly signedEntryTimestamp: string;
    readonly inclusionProof: {
      readonly logIndex: number;
      readonly rootHash: string;
      readonly treeSize: number;
      readonly hashes: readonly string[];
      readonly checkpoint: string;
    };
  };
}

/** For tests: a deployment of sigstore in this process, with a certificate authority and logs of its own. */
export class TestSigstore {
  readonly authority: Authority;
  /** `trusted_root.json`. */
  readonly trustedRoot: string;
  readonly #log: TransparencyLog;

  private constructor(authority: Authority, log: TransparencyLog, trustedRoot: string) {
    this.authority = authority;
    this.#log = log;
    this.trustedRoot = trustedRoot;
  }

  static async create(): Promise<TestSigstore> {
    const certificateLog = await initializeCTLog(keyPair());
    const authority = await initializeCA(keyPair(), certificateLog);
    const log = await initializeTLog('https://log.example', keyPair());
    return new TestSigstore(authority, log, trustedRoot(authority, log, certificateLog));
  }

  /** Enters something into the transparency log. */
  async log(entry: object): Promise<LogEntry> {
    const [logged] = Object.values((await this.#log.log(entry)) as unknown as Record<string, LogEntry>);
    if (logged === undefined) throw new Error('the log answered nothing');
    return logged;
  }

  /** Answers as Fulcio and Rekor do, on one address. */
  async serve(): Promise<{ readonly url: string } & AsyncDisposable> {
    const certify = fulcioHandler(this.authority);
    const server: Server = createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        const body = Buffer.concat(parts).toString();
        const certificate = request.url === certify.path;
        const answer: Promise<Answer> = certificate
          ? certify.fn(withToken(body, request.headers.authorization))
          : this.#enter(body);
        answer.then(
          ({ statusCode, response: content, etag }: Answer) => {
            response.writeHead(certificate && statusCode === 201 ? 200 : statusCode, {
              'content-type': 'application/json',
              ...(etag !== undefined && { etag }),
            });
            response.end(content);
          },
          (error: unknown) => response.writeHead(400).end(String(error)),
        );
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return {
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      [Symbol.asyncDispose]: async () => {
        server.closeAllConnections();
        await new Promise<void>((resolve) => server.close(() => resolve()));
      },
    };
  }

  async #enter(body: string): Promise<Answer> {
    const entry = await this.log(canonicalEntry(JSON.parse(body) as ProposedEntry));
    // The client finds the entry in the answer by this name.
    const etag = randomUUID().replaceAll('-', '');
    return { statusCode: 201, response: JSON.stringify({ [etag]: entry }), etag };
  }
}

interface Answer {
  readonly statusCode: number;
  readonly response: string | ArrayBufferView;
  readonly etag?: string;
}

/** cosign shows its token as a header, where the authority here wants it in the body. */
function withToken(body: string, authorization = ''): string {
  const credentials = { oidcIdentityToken: authorization.replace(/^Bearer /, '') };
  return JSON.stringify({ credentials, ...(JSON.parse(body) as object) });
}

interface ProposedEntry {
  readonly kind: string;
  readonly apiVersion: string;
  readonly spec: {
    readonly proposedContent?: { readonly envelope: string; readonly verifiers: readonly string[] };
  };
}

/** Rekor keeps of an envelope its sums and signatures alone. */
function canonicalEntry(entry: ProposedEntry): object {
  const proposed = entry.spec.proposedContent;
  if (entry.kind !== 'dsse' || proposed === undefined) return entry;
  const envelope = JSON.parse(proposed.envelope) as {
    payload: string;
    signatures: readonly { sig: string }[];
  };
  const sum = (data: string | Buffer) => ({
    algorithm: 'sha256',
    value: createHash('sha256').update(data).digest('hex'),
  });
  return {
    kind: entry.kind,
    apiVersion: entry.apiVersion,
    spec: {
      envelopeHash: sum(proposed.envelope),
      payloadHash: sum(Buffer.from(envelope.payload, 'base64')),
      signatures: envelope.signatures.map(({ sig }, at) => ({
        signature: sig,
        verifier: proposed.verifiers[at],
      })),
    },
  };
}

function keyPair() {
  return generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
}

function trustedRoot(authority: Authority, log: TransparencyLog, certificateLog: CertificateLog): string {
  const start = new Date(Date.now() - 60_000);
  const instance = (rawBytes: Buffer, keyId: Buffer, baseUrl: string) => ({
    baseUrl,
    hashAlgorithm: HashAlgorithm.SHA2_256,
    publicKey: { rawBytes, keyDetails: PublicKeyDetails.PKIX_ECDSA_P256_SHA_256, validFor: { start } },
    logId: { keyId },
    checkpointKeyId: undefined,
    operator: 'test',
  });
  const root: TrustedRoot = {
    mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1',
    certificateAuthorities: [
      {
        subject: { commonName: 'authority', organization: 'test' },
        uri: 'https://ca.example',
        certChain: { certificates: [{ rawBytes: Buffer.from(authority.rootCertificate.buffer) }] },
        validFor: { start },
        operator: 'test',
      },
    ],
    tlogs: [
      instance(log.publicKey, createHash('sha256').update(log.publicKey).digest(), 'https://log.example'),
    ],
    ctlogs: [
      instance(certificateLog.publicKey, Buffer.from(certificateLog.logID.buffer), 'https://ct.example'),
    ],
    timestampAuthorities: [],
  };
  return JSON.stringify(TrustedRoot.toJSON(root));
}
