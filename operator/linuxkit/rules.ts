import { deviceNode } from './devices.ts';
import { InvalidSetting } from './errors.ts';
import { type ContainerIds, containerIds, numericId } from './ids.ts';
import { completeMount, parseBind, parseTmpfs } from './mounts.ts';
import { parseRlimit } from './rlimits.ts';
import {
  type FileSpec,
  type Identity,
  type ImageSpec,
  type KernelSpec,
  type OutputFormat,
  unknownFormat,
  type VolumeSpec,
} from './schema.ts';
import type { FieldPath, FieldProblem } from './structure.ts';
import { type VolumesByName, volumesByName } from './volumes.ts';

/**
 * What must hold beyond the structure: names that must exist, texts with a grammar of their
 * own, fields that need each other. The same rules for text and for inline configurations.
 */

/**
 * A configuration of which every field that is there has the right type, but any may be
 * missing; in place of an entry of a list may stand undefined.
 */
export interface SoundConfig {
  readonly kernel?: Partial<KernelSpec>;
  readonly init?: readonly (string | undefined)[];
  readonly onboot?: readonly Partial<ImageSpec>[];
  readonly onshutdown?: readonly Partial<ImageSpec>[];
  readonly services?: readonly Partial<ImageSpec>[];
  readonly volumes?: readonly Partial<VolumeSpec>[];
  readonly files?: readonly Partial<FileSpec>[];
  readonly outputs?: readonly { readonly format?: OutputFormat }[];
}

export interface RuleOptions {
  /** Whether `files[].source` may read the machine that builds. Only for a person at the command line. */
  readonly allowSource: boolean;
  /** Whether there must be a kernel, without which nothing boots. */
  readonly requireKernel: boolean;
  /** Output formats that may be asked for. */
  readonly formats: readonly OutputFormat[];
}

interface Names {
  readonly ids: ContainerIds;
  readonly volumes: VolumesByName;
}

const CONTAINER_SECTIONS = ['onboot', 'onshutdown', 'services'] as const;

export function ruleProblems(config: SoundConfig, options: RuleOptions): readonly FieldProblem[] {
  const names: Names = { ids: containerIds(config), volumes: volumesByName(config.volumes) };
  return [
    ...(options.requireKernel && config.kernel?.image === undefined ? [NO_KERNEL] : []),
    ...CONTAINER_SECTIONS.flatMap((section) =>
      (config[section] ?? []).flatMap((image, index) => settingProblems([section, index], image, names)),
    ),
    ...duplicates('services', 'service', config.services),
    ...duplicates('volumes', 'volume', config.volumes),
    ...(config.files ?? []).flatMap((file, index) =>
      fileProblems(['files', index], file, names.ids, options),
    ),
    ...(config.outputs ?? []).flatMap(({ format }, index) =>
      format === undefined || options.formats.includes(format)
        ? []
        : [{ path: ['outputs', index, 'format'], message: unknownFormat(format, options.formats) }],
    ),
  ];
}

const NO_KERNEL: FieldProblem = {
  path: ['kernel', 'image'],
  message: 'is required: without a kernel there is nothing to boot',
};

/** The settings of a container, in a configuration or in an image's label. */
export function settingProblems(
  path: FieldPath,
  image: Partial<ImageSpec>,
  { ids, volumes }: Names,
): readonly FieldProblem[] {
  const each = <T>(
    field: keyof ImageSpec,
    values: readonly (T | undefined)[] | undefined,
    read: (value: T) => unknown,
  ) =>
    (values ?? []).flatMap((value, index) =>
      value === undefined ? [] : refusal([...path, field, index], () => read(value)),
    );
  const id = (value: Identity) => numericId(value, ids);
  const bind = (text: string) => parseBind(text, volumes);
  return [
    ...each('capabilities', image.capabilities, noMix('none', image.capabilities)),
    ...each('ambient', image.ambient, noMix('none', image.ambient)),
    ...each('mounts', image.mounts, (mount) => completeMount(mount, volumes)),
    ...each('binds', image.binds, bind),
    ...each('binds.add', image['binds.add'], bind),
    ...each('tmpfs', image.tmpfs, parseTmpfs),
    ...(image.uid === undefined ? [] : refusal([...path, 'uid'], () => id(image.uid ?? 0))),
    ...(image.gid === undefined ? [] : refusal([...path, 'gid'], () => id(image.gid ?? 0))),
    ...each('additionalGids', image.additionalGids, id),
    ...each('rlimits', image.rlimits, parseRlimit),
    ...each('devices', image.devices, deviceNode),
  ];
}

/** Refuses a word that contradicts its neighbours. */
function noMix(word: string, list: readonly string[] | undefined): (value: string) => void {
  return (value) => {
    if (value.toLowerCase() === word && (list?.length ?? 0) > 1) {
      throw new InvalidSetting(`${value} cannot stand beside other capabilities`);
    }
  };
}

function fileProblems(
  path: FieldPath,
  file: Partial<FileSpec>,
  ids: ContainerIds,
  options: RuleOptions,
): readonly FieldProblem[] {
  return [
    ...refusal([...path, 'uid'], () => numericId(file.uid, ids)),
    ...refusal([...path, 'gid'], () => numericId(file.gid, ids)),
    ...(file.source === undefined || options.allowSource
      ? []
      : [{ path: [...path, 'source'], message: SOURCE_REFUSED }]),
  ];
}

const SOURCE_REFUSED =
  'reads the machine that builds and is only for the command line; use contents, or files of the LinuxKitImage';

function duplicates(
  section: string,
  what: string,
  entries: readonly { readonly name?: string }[] | undefined,
): readonly FieldProblem[] {
  const seen = new Set<string>();
  return (entries ?? []).flatMap(({ name }, index) => {
    if (name === undefined) return [];
    if (seen.has(name))
      return [{ path: [section, index, 'name'], message: `duplicate ${what} name ${name}` }];
    seen.add(name);
    return [];
  });
}

/** What a parser refuses, if it does. */
function refusal(path: FieldPath, read: () => unknown): readonly FieldProblem[] {
  try {
    read();
    return [];
  } catch (error) {
    if (error instanceof InvalidSetting) return [{ path, message: error.message }];
    throw error;
  }
}
