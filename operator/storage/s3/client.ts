import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { rootCertificates } from 'node:tls';
import { S3Client } from '@aws-sdk/client-s3';
import type { S3Options } from './options.ts';

const CONNECT_TIMEOUT_MS = 5_000;
/** Silence on a connection with a transfer under way. A slow transfer goes on as long as bytes move. */
const IDLE_TIMEOUT_MS = 60_000;
const MAX_SOCKETS = 64;
/** Attempts at a request without a body; an upload is repeated by the store, which can open its source again. */
const ATTEMPTS = 3;

/** The SDK writes its retries of uploads to the console unless given a logger. Errors reach us as errors. */
const SILENT = { trace() {}, debug() {}, info() {}, warn() {}, error() {} };

/** `idleTimeoutMs`: how long a connection may be silent while something is asked of it. */
export function createS3Client(
  options: S3Options,
  { idleTimeoutMs = IDLE_TIMEOUT_MS }: { readonly idleTimeoutMs?: number } = {},
): S3Client {
  const agent = { keepAlive: true, maxSockets: MAX_SOCKETS };
  return new S3Client({
    region: options.region,
    forcePathStyle: options.forcePathStyle,
    ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint }),
    ...(options.credentials === undefined ? {} : { credentials: options.credentials }),
    // The default adds CRC32 trailers, which a number of S3-compatible stores refuse.
    // Every upload of ours carries its SHA-256 anyhow.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    maxAttempts: ATTEMPTS,
    logger: SILENT,
    requestHandler: {
      connectionTimeout: CONNECT_TIMEOUT_MS,
      socketTimeout: idleTimeoutMs,
      // Agents, not their options: for an upload that waits for `100 Continue` the SDK would make an
      // agent of its own, which trusts no authority of ours.
      httpAgent: new HttpAgent(agent),
      httpsAgent: new HttpsAgent({
        ...agent,
        ...(options.caBundle === undefined ? {} : { ca: [...rootCertificates, options.caBundle] }),
      }),
    },
  });
}
