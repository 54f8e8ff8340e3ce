import { CONTAINERS } from './constants.ts';
import type { PlannedEntry } from './entries.ts';
import { planFiles } from './files.ts';
import type { FlattenKind } from './flatten-rules.ts';
import type { ImageSpec, KernelSpec, LinuxKitConfig, VolumeSpec } from './schema.ts';
import { volumeEntries, volumeFolder } from './volumes.ts';

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

export interface ImagePlan {
  readonly kernel?: KernelStep;
  readonly init: readonly InitStep[];
  readonly volumes: readonly VolumeStep[];
  readonly containers: readonly ContainerStep[];
  /** Entries of `files`, in order. Later ones replace earlier ones of the same path. */
  readonly files: readonly PlannedEntry[];
}

/** `config` must have been checked (parse.ts). */
export function planImage(config: LinuxKitConfig): ImagePlan {
  const { kernel } = config;
  return {
    ...(kernel?.image !== undefined && { kernel: kernelStep(kernel, kernel.image) }),
    init: (config.init ?? []).map((image, index) => ({ kind: 'init', location: `init[${index}]`, image })),
    volumes: (config.volumes ?? []).map(volumeStep),
    containers: SECTIONS.flatMap((section) =>
      (config[section] ?? []).map((spec, index) => containerStep(section, spec, index)),
    ),
    files: planFiles(config),
  };
}

const SECTIONS = ['onboot', 'onshutdown', 'services'] as const;

/** Configurations of 2017 found the kernel under either name. */
const DEFAULT_BINARIES = ['kernel', 'bzImage'] as const;
const DEFAULT_TAR = 'kernel.tar';

function kernelStep(kernel: KernelSpec, image: string): KernelStep {
  const { binary, tar = DEFAULT_TAR, ucode } = kernel;
  return {
    kind: 'kernel',
    location: 'kernel',
    image,
    cmdline: kernel.cmdline ?? '',
    binaries: binary === undefined || binary === '' ? DEFAULT_BINARIES : [binary],
    ...(tar !== '' && tar !== 'none' && { tar }),
    ...(ucode !== undefined && ucode !== '' && { ucode }),
  };
}

function volumeStep(volume: VolumeSpec, index: number): VolumeStep {
  return {
    kind: 'volume',
    location: `volumes[${index}]`,
    ...(volume.image !== undefined && { image: volume.image }),
    volume,
    format: volume.format ?? 'filesystem',
    lower: `${volumeFolder(volume.name)}/lower`,
    entries: volumeEntries(volume.name),
  };
}

/** Containers that run one after another are run in the order of their folders' names, so these are numbered. */
function containerStep(section: ContainerSection, spec: ImageSpec, index: number): ContainerStep {
  const folder = section === 'services' ? spec.name : `${String(index).padStart(3, '0')}-${spec.name}`;
  return {
    kind: 'bundle',
    location: `${section}[${index}]`,
    image: spec.image,
    section,
    index,
    spec,
    path: `${CONTAINERS}/${section}/${folder}`,
  };
}
