/** What a registry may ask of its client. Times are in milliseconds, sizes in bytes. */
export interface RegistryLimits {
  readonly maxManifestBytes: number;
  readonly maxConfigBytes: number;
  /** Answers of token servers. */
  readonly maxTokenBytes: number;
  readonly maxBlobBytes: number;
  readonly maxRedirects: number;
  /** Until a connection is open. */
  readonly connectTimeout: number;
  /** Until an answer begins, and between two pieces of a body. */
  readonly idleTimeout: number;
  /** In which an upload must get on, and be answered once its last byte was sent: registries then move it to its place. */
  readonly uploadTimeout: number;
  /** For one document in all: a manifest, a configuration, a token. */
  readonly documentTimeout: number;
  /** A blob that brings less than `minBlobBytesPerWindow` while it was waited for this long is too slow. */
  readonly blobWindow: number;
  readonly minBlobBytesPerWindow: number;
  /** How often one blob may be taken up again after its connection broke. */
  readonly maxBlobResumes: number;
}

export const REGISTRY_LIMITS: RegistryLimits = {
  maxManifestBytes: 4 << 20,
  maxConfigBytes: 4 << 20,
  maxTokenBytes: 1 << 20,
  maxBlobBytes: 16 * 2 ** 30,
  maxRedirects: 5,
  connectTimeout: 10_000,
  idleTimeout: 30_000,
  uploadTimeout: 300_000,
  documentTimeout: 60_000,
  blobWindow: 60_000,
  minBlobBytesPerWindow: 64 << 10,
  maxBlobResumes: 100,
};
