import type { PlannedEntry } from './entries.ts';
import type { FlattenKind } from './flatten-rules.ts';
import type { ImageSpec, LinuxKitConfig, VolumeSpec } from './schema.ts';

/**
 * A configuration as the list of things a builder does, in their order: the kernel, the init
 * images, the volumes, the containers, the files. `planImage` needs nothing but the
 * configuration; how a container's files are laid out also depends on its image's label, so
 * `planBundles` (bundle.ts) follows once the images' configurations are known.
 */

export type ContainerSection = 'onboot' | 'onshutdown' | 'services';

interface ImageStep {
  /** The rule set by which the image's files are taken over (flatten-rules.ts). */
  readonly kind: FlattenKind;
  /** `kernel`, `init[0]`, `volumes[1]`, `onboot[0]`, `onshutdown[0]`, `services[2]`. */
  readonly location: string;
  /** As written in the configuration. */
  readonly image: string;
}

export interface KernelStep extends ImageStep {
  readonly kind: 'kernel';
  readonly cmdline: string;
  /** Names at the root of the image to look for the kernel, in this order. */
  readonly binaries: readonly string[];
  /** Name of the archive with modules, unless there is none. */
  readonly tar?: string;
  /** Name of the microcode archive, if one is asked for. It must be there. */
  readonly ucode?: string;
}

export interface InitStep extends ImageStep {
  readonly kind: 'init';
}

export interface VolumeStep {
  readonly kind: 'volume';
  readonly location: string;
  /** Absent for an empty volume. */
  readonly image?: string;
  readonly volume: VolumeSpec;
  /** What the image becomes: its files below `lower`, or an OCI layout there. */
  readonly format: 'filesystem' | 'oci';
  /** Folder for the image's files or layout, without slashes at its ends: `containers/volumes/NAME/lower`. */
  readonly lower: string;
  /** Directories to make, parents first. */
  readonly entries: readonly PlannedEntry[];
}

export interface ContainerStep extends ImageStep {
  readonly kind: 'bundle';
  readonly section: ContainerSection;
  readonly index: number;
  readonly spec: ImageSpec;
  /** The bundle's folder: `containers/onboot/000-name`, `containers/services/name`. */
  readonly path: string;
}

export type BuildStep = KernelStep | InitStep | VolumeStep | ContainerStep;

export interface ImagePlan {
  readonly kernel?: KernelStep;
  readonly init: readonly InitStep[];
  readonly volumes: readonly VolumeStep[];
  readonly containers: readonly ContainerStep[];
  /** Entries of `files`, in order. Later ones replace earlier ones of the same path. */
  readonly files: readonly PlannedEntry[];
}

export declare function planImage(config: LinuxKitConfig): ImagePlan;
