import type { VerifiedSignature } from '../oci/signatures/verify.ts';
import type { Digest } from '../oci/types.ts';

/** The architectures a build can be for, in Go's names. */
export type Architecture = 'amd64' | 'arm64';
export type Compression = 'gzip' | 'zstd';

/** One stored file of an artifact. `size` in bytes, `sha256` as 64 hex digits of the stored bytes. */
export interface FileRecord {
  readonly size: number;
  readonly sha256: string;
}

/** An image that went into a build. */
export interface ResolvedInput {
  /** `kernel`, `init[0]`, `onboot[1]`, `services[2]`, `volumes[0]`: LinuxKit's own location names. */
  readonly location: string;
  /** As written in the configuration. */
  readonly reference: string;
  /** Digest of the platform's manifest that was pulled. */
  readonly digest: Digest;
  /** The signature that was found, where `trust` asked for one. */
  readonly verifiedBy?: VerifiedSignature;
}

/**
 * `build.json`: what an artifact is, of what it was made, and how it is served for booting.
 * Written last; an artifact without it does not exist.
 */
export interface BuildRecord {
  readonly schema: 'linuxkit.dev/build/v1';
  /** Identity of the artifact: digest of the canonical JSON of its uncompressed content, see `identity.ts`. */
  readonly digest: Digest;
  readonly architecture: Architecture;
  readonly compression: Compression;
  /** RFC 3339, UTC. */
  readonly created: string;
  readonly engine: string;
  /** Hex digest of everything that determined the output; equal inputs give an equal artifact. */
  readonly inputsHash: string;
  readonly inputs: readonly ResolvedInput[];
  readonly files: {
    readonly kernel: FileRecord;
    readonly 'initrd.img': FileRecord & {
      readonly uncompressedSize: number;
      readonly uncompressedSha256: string;
    };
    readonly cmdline: FileRecord;
    /** What the artifact is made of and how, see `evidence/`; missing from records of engines that wrote none. */
    readonly 'sbom.spdx.json'?: FileRecord;
    readonly 'provenance.json'?: FileRecord;
  };
  /** The kernel command line, verbatim. */
  readonly cmdline: string;
  readonly bootImage: BootImageRecord;
}

/** The OCI image that KubeVirt boots from: composed of stored objects while it is served. */
export interface BootImageRecord {
  /** Digest of `manifest`: what a VirtualMachine names after the `@`. */
  readonly digest: Digest;
  /** Exact bytes of the OCI manifest and configuration, as text. */
  readonly manifest: string;
  readonly config: string;
  readonly layers: readonly {
    readonly file: 'kernel' | 'initrd.img';
    readonly digest: Digest;
    readonly size: number;
  }[];
}

/** Steps a build can fail in, in their order. */
export type BuildStep = 'configure' | 'resolve' | 'verify' | 'pull' | 'assemble' | 'upload';

/** Why a build failed. Part of the API: these are condition and event reasons. */
export type BuildFailureReason =
  | 'InvalidLinuxKitConfig'
  | 'ImageNotFound'
  | 'ImagePullFailed'
  | 'RegistryUnreachable'
  | 'RegistryUnauthorized'
  | 'BootImagePushFailed'
  | 'DigestMismatch'
  | 'InputVerificationFailed'
  | 'AssemblyFailed'
  | 'LimitExceeded'
  | 'StorageUnavailable'
  | 'StorageDenied'
  | 'Cancelled'
  | 'InternalError';

export interface BuildFailure {
  readonly step: BuildStep;
  readonly reason: BuildFailureReason;
  readonly message: string;
}

/** The container's termination message: JSON, at most 4,096 bytes (Kubernetes, "Customizing the termination message"). */
export type BuildOutcome =
  | {
      readonly result: 'succeeded';
      /** The record itself is read from storage: it may be larger than a termination message. */
      readonly digest: Digest;
      /** True when the same inputs had been built before and nothing was assembled. */
      readonly reused: boolean;
      readonly seconds: Readonly<Partial<Record<BuildStep, number>>>;
      readonly bytesPulled: number;
      readonly bytesStored: number;
      /** Members of the initrd that were in the cache, and those that had to be made; left out where none was wanted. */
      readonly cache?: CacheUse;
      /**
       * By location, who signed the images that `trust` names. The record of the same content may be of a build
       * before that asked for less. Left out where there are none, or too many to say.
       */
      readonly verifiedBy?: Readonly<Record<string, string>>;
    }
  | { readonly result: 'failed'; readonly failure: BuildFailure };

/** `bytes`: of the members that were in the cache, compressed. */
export interface CacheUse {
  readonly hits: number;
  readonly misses: number;
  readonly bytes: number;
}

/** Exit codes of a build pod, after sysexits.h: EX_DATAERR is for good; EX_TEMPFAIL, and anything else, may pass and is tried again. */
export const BUILD_EXIT = { succeeded: 0, failedForGood: 65, failedForNow: 75 } as const;
