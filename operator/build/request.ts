import type { Architecture } from './record.ts';

/** What the image controller hands to a build pod, as JSON in a ConfigMap. Holds no secret. */
export interface BuildRequest {
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
  readonly endpoint: { readonly url: string; readonly caBundle: string };
  /** Registries that may be spoken to over plain HTTP besides loopback, `host[:port]`. */
  readonly insecureRegistries: readonly string[];
}
