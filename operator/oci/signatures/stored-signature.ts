import { createHash, X509Certificate } from 'node:crypto';
import { type Bundle, bundleFromJSON } from '@sigstore/bundle';

/** A signature as it was found beside an image, not yet believed. */
export type StoredSignature =
  /** `sha256-<digest>.sig`: a simple signing document and its signature, proofs in annotations. */
  | {
      readonly form: 'simple';
      readonly payload: Buffer;
      readonly signature: Buffer;
      /** What proves an identity, undefined when the signature is by a key alone. */
      readonly proof: (() => Bundle) | undefined;
    }
  /** A sigstore bundle, which holds all. */
  | { readonly form: 'bundle'; readonly bundle: Bundle };

const ANNOTATIONS = {
  signature: 'dev.cosignproject.cosign/signature',
  certificate: 'dev.sigstore.cosign/certificate',
  logEntry: 'dev.sigstore.cosign/bundle',
  timestamp: 'dev.sigstore.cosign/rfc3161timestamp',
} as const;

const BUNDLE_V01 = 'application/vnd.dev.sigstore.bundle+json;version=0.1';

/** A layer of a `.sig` manifest: the signed document, and annotations. Undefined if it carries no signature. */
export function simpleSignature(
  payload: Buffer,
  annotations: Readonly<Record<string, string>>,
): StoredSignature | undefined {
  const signature = annotations[ANNOTATIONS.signature];
  if (signature === undefined) return undefined;
  const certificate = annotations[ANNOTATIONS.certificate];
  const proof =
    certificate === undefined ? undefined : () => proofBundle(payload, signature, certificate, annotations);
  return { form: 'simple', payload, signature: Buffer.from(signature, 'base64'), proof };
}

/** Throws if the text is no bundle. */
export function bundleSignature(text: string): StoredSignature {
  return { form: 'bundle', bundle: bundleFromJSON(JSON.parse(text)) };
}

/** Puts annotations together as the bundle that says the same (sigstore protobuf-specs, sigstore_bundle.proto). */
function proofBundle(
  payload: Buffer,
  signature: string,
  certificate: string,
  annotations: Readonly<Record<string, string>>,
): Bundle {
  const logEntry = annotations[ANNOTATIONS.logEntry];
  const timestamp = annotations[ANNOTATIONS.timestamp];
  return bundleFromJSON({
    mediaType: BUNDLE_V01,
    verificationMaterial: {
      x509CertificateChain: {
        certificates: [{ rawBytes: new X509Certificate(certificate).raw.toString('base64') }],
      },
      tlogEntries: logEntry === undefined ? [] : [readLogEntry(logEntry)],
      timestampVerificationData: {
        rfc3161Timestamps: timestamp === undefined ? [] : [{ signedTimestamp: readTimestamp(timestamp) }],
      },
    },
    messageSignature: {
      messageDigest: { algorithm: 'SHA2_256', digest: createHash('sha256').update(payload).digest('base64') },
      signature,
    },
  });
}

/** cosign's own form of an entry of the transparency log. Throws on anything else. */
function readLogEntry(text: string): unknown {
  const { SignedEntryTimestamp: promise, Payload: payload } = JSON.parse(text) as {
    readonly SignedEntryTimestamp: string;
    readonly Payload: {
      readonly body: string;
      readonly integratedTime: number;
      readonly logIndex: number;
      readonly logID: string;
    };
  };
  const { kind, apiVersion } = JSON.parse(Buffer.from(payload.body, 'base64').toString('utf8')) as {
    readonly kind: string;
    readonly apiVersion: string;
  };
  return {
    logIndex: String(payload.logIndex),
    logId: { keyId: Buffer.from(payload.logID, 'hex').toString('base64') },
    kindVersion: { kind, version: apiVersion },
    integratedTime: String(payload.integratedTime),
    inclusionPromise: { signedEntryTimestamp: promise },
    canonicalizedBody: payload.body,
  };
}

function readTimestamp(text: string): string {
  return (JSON.parse(text) as { readonly SignedRFC3161Timestamp: string }).SignedRFC3161Timestamp;
}
