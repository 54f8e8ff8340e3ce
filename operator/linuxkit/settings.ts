import type { CapabilitySpelling } from './capabilities.ts';
import type {
  DeviceSpec,
  Identity,
  ImageLabel,
  ImageSpec,
  MountSpec,
  ResourcesSpec,
  RuntimeSpec,
} from './schema.ts';

/**
 * What a container is run with: its entry in the configuration, and where that says nothing,
 * its image's label, and where that says nothing, the defaults of the image and of LinuxKit.
 */

/** What of an image's configuration a container takes over (OCI image-spec, config.md, `config`). */
export interface ContainerDefaults {
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly Env?: readonly string[];
  readonly WorkingDir?: string;
  readonly Labels?: Readonly<Record<string, string>>;
}

export interface ContainerSettings {
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly readonly: boolean;
  readonly capabilities: readonly CapabilitySpelling[];
  readonly ambient: readonly CapabilitySpelling[];
  readonly tmpfs: readonly string[];
  readonly binds: readonly string[];
  readonly mounts: readonly MountSpec[];
  readonly devices: readonly DeviceSpec[];
  readonly rlimits: readonly string[];
  readonly net: string;
  readonly pid: string;
  readonly ipc: string;
  readonly uts: string;
  readonly userns: string;
  readonly hostname: string;
  readonly uid: Identity;
  readonly gid: Identity;
  readonly additionalGids: readonly Identity[];
  readonly noNewPrivileges: boolean;
  readonly oomScoreAdj: number | undefined;
  readonly maskedPaths: readonly string[];
  readonly readonlyPaths: readonly string[];
  readonly rootfsPropagation: string | undefined;
  readonly cgroupsPath: string | undefined;
  readonly sysctl: Readonly<Record<string, string>> | undefined;
  readonly annotations: Readonly<Record<string, string>> | undefined;
  readonly uidMappings: ImageSpec['uidMappings'];
  readonly gidMappings: ImageSpec['gidMappings'];
  readonly resources: ResourcesSpec;
  readonly runtime: RuntimeSettings;
}

export interface RuntimeSettings {
  readonly cgroups: readonly string[];
  readonly mounts: readonly MountSpec[];
  readonly mkdir: readonly string[];
  readonly interfaces: NonNullable<RuntimeSpec['interfaces']>;
  readonly bindNS: Readonly<Record<'cgroup' | 'ipc' | 'mnt' | 'net' | 'pid' | 'user' | 'uts', string>>;
  readonly namespace: string;
}

/**
 * A value that is given, even an empty one, replaces the label's; strings with a word for
 * "none" of their own must also not be empty. Only the `.add` keys add to it.
 */
export function containerSettings(
  spec: ImageSpec,
  label: ImageLabel,
  image: ContainerDefaults,
): ContainerSettings {
  return {
    args: spec.command ?? label.command ?? [...(image.Entrypoint ?? []), ...(image.Cmd ?? [])],
    env: spec.env ?? label.env ?? image.Env ?? [],
    cwd: spec.cwd || label.cwd || image.WorkingDir || '/',
    readonly: spec.readonly ?? label.readonly ?? false,
    capabilities: spec.capabilities ?? [...(label.capabilities ?? []), ...(spec['capabilities.add'] ?? [])],
    ambient: spec.ambient ?? label.ambient ?? [],
    tmpfs: spec.tmpfs ?? label.tmpfs ?? [],
    binds: spec.binds ?? [...(label.binds ?? []), ...(spec['binds.add'] ?? [])],
    mounts: spec.mounts ?? label.mounts ?? [],
    devices: spec.devices ?? label.devices ?? [],
    rlimits: spec.rlimits ?? label.rlimits ?? [],
    net: spec.net || label.net || '',
    pid: spec.pid || label.pid || '',
    ipc: spec.ipc || label.ipc || '',
    uts: spec.uts || label.uts || '',
    userns: spec.userns || label.userns || '',
    hostname: spec.hostname || label.hostname || '',
    uid: spec.uid ?? label.uid ?? 0,
    gid: spec.gid ?? label.gid ?? 0,
    additionalGids: spec.additionalGids ?? label.additionalGids ?? [],
    noNewPrivileges: spec.noNewPrivileges ?? label.noNewPrivileges ?? false,
    oomScoreAdj: spec.oomScoreAdj ?? label.oomScoreAdj,
    maskedPaths: spec.maskedPaths ?? label.maskedPaths ?? [],
    readonlyPaths: spec.readonlyPaths ?? label.readonlyPaths ?? [],
    rootfsPropagation: spec.rootfsPropagation ?? label.rootfsPropagation,
    cgroupsPath: spec.cgroupsPath ?? label.cgroupsPath,
    sysctl: spec.sysctl ?? label.sysctl,
    annotations: spec.annotations ?? label.annotations,
    uidMappings: spec.uidMappings ?? label.uidMappings,
    gidMappings: spec.gidMappings ?? label.gidMappings,
    resources: resources(spec, label),
    runtime: runtime(spec.runtime ?? {}, label.runtime ?? {}),
  };
}

/** With the key of 2017 put where it belongs today, unless that is given as well. */
function resources(spec: ImageSpec, label: ImageLabel): ResourcesSpec {
  const given = spec.resources ?? label.resources ?? {};
  const disableOOMKiller = spec.disableOOMKiller ?? label.disableOOMKiller;
  if (disableOOMKiller === undefined) return given;
  return { ...given, memory: { disableOOMKiller, ...given.memory } };
}

/** Key by key, and the paths of `bindNS` each for itself. */
function runtime(spec: RuntimeSpec, label: RuntimeSpec): RuntimeSettings {
  const [own, inherited] = [spec.bindNS ?? {}, label.bindNS ?? {}];
  return {
    cgroups: spec.cgroups ?? label.cgroups ?? [],
    mounts: spec.mounts ?? label.mounts ?? [],
    mkdir: spec.mkdir ?? label.mkdir ?? [],
    interfaces: spec.interfaces ?? label.interfaces ?? [],
    bindNS: {
      cgroup: own.cgroup ?? inherited.cgroup ?? '',
      ipc: own.ipc ?? inherited.ipc ?? '',
      mnt: own.mnt ?? inherited.mnt ?? '',
      net: own.net ?? inherited.net ?? '',
      pid: own.pid ?? inherited.pid ?? '',
      user: own.user ?? inherited.user ?? '',
      uts: own.uts ?? inherited.uts ?? '',
    },
    namespace: spec.namespace ?? label.namespace ?? '',
  };
}
