import type { PlannedEntry } from './entries.ts';
import type { ContainerStep } from './plan.ts';
import type { LinuxKitConfig } from './schema.ts';

/** What of an image's configuration a container takes over (OCI image-spec, config.md, `config`). */
export interface ContainerDefaults {
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly Env?: readonly string[];
  readonly WorkingDir?: string;
  readonly Labels?: Readonly<Record<string, string>>;
}

/** One container, ready to be written. */
export interface BundlePlan {
  readonly step: ContainerStep;
  readonly readonly: boolean;
  /** Folder for the image's files, unless an earlier container of the same reference brought them. */
  readonly extractTo?: string;
  /** Folder that holds the image's files: `extractTo`, or that of the earlier container. */
  readonly root: string;
  /**
   * What the bundle consists of besides the image's files, in order, its own folder and those
   * above it first: `config.json`, `tmp`, `rootfs`, `runtime.json`.
   */
  readonly entries: readonly PlannedEntry[];
}

export declare function planBundles(
  config: LinuxKitConfig,
  containers: readonly ContainerStep[],
  imageOf: (step: ContainerStep) => ContainerDefaults,
): readonly BundlePlan[];
