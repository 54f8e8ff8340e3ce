import type { LimitSettings } from '../oci/limits.ts';
import type { TrustedIdentity } from '../oci/signatures/policy.ts';
import type { Architecture } from './record.ts';

/** How builds speak to registries, and what they take of them, whatever they pull. */
export interface RegistrySettings {
  /** Registries that may be spoken to over plain HTTP besides loopback, `host[:port]`. */
  readonly insecureRegistries: readonly string[];
  /** For a registry, what is asked before it, in order: `host[:port][/path]`. */
  readonly registryMirrors?: Readonly<Record<string, readonly string[]>>;
  /** PEM certificates of authorities by registry, `*` for all, besides the system's. */
  readonly registryAuthorities?: Readonly<Record<string, string>>;
  /** Limits that are others than the engine's own. */
  readonly limits?: LimitSettings;
}

/** `spec.verification`; files are below `BUILD_PATHS.verification`. */
export interface VerificationRequest {
  readonly publicKeys: readonly ({ readonly pem: string } | { readonly file: string })[];
  readonly identities: readonly TrustedIdentity[];
  readonly trustedRoot?: string;
}

/** What the image controller hands to a build pod, as JSON in a ConfigMap. Holds no secret. */
export interface BuildRequest extends RegistrySettings {
  readonly schema: 'linuxkit.dev/build-request/v1';
  readonly namespace: string;
  readonly image: string;
  readonly architecture: Architecture;
  readonly compression: 'auto' | 'gzip' | 'zstd';
  /** The configuration itself, or the file name below `BUILD_PATHS.config` that holds LinuxKit YAML. */
  readonly config: { readonly inline: unknown } | { readonly file: string };
  /** `spec.files`: where in the image, and which key of which mounted folder (`BUILD_PATHS.files/<index>/<key>`). */
  readonly files: readonly { readonly path: string; readonly mode?: string; readonly file: string }[];
  /** Folders below `BUILD_PATHS.pullSecrets`. */
  readonly pullSecrets: readonly string[];
  /** Where the boot image is pushed; `pushSecret` is the name of the Secret that is mounted for that. */
  readonly bootImage?: { readonly repository: string; readonly pushSecret?: string };
  readonly endpoint: { readonly url: string; readonly caBundle: string };
  readonly verification?: VerificationRequest;
}
