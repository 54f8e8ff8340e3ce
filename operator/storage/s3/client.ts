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

export function createS3Client(options: S3Options): S3Client {
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
      socketTimeout: IDLE_TIMEOUT_MS,
      httpAgent: agent,
      httpsAgent: {
        ...agent,
        ...(options.caBundle === undefined ? {} : { ca: [...rootCertificates, options.caBundle] }),
      },
    },
  });
}
