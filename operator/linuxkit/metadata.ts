import { goJson, type JsonObject, sortedMap, unlessBlank, unlessEmpty } from './go-json.ts';
import { goYaml } from './go-yaml.ts';
import { idMapping, mappingsJson, mountJson } from './mounts.ts';
import { expandReference } from './references.ts';
import { resourcesJson } from './resources.ts';
import { resourcesYaml } from './resources-yaml.ts';
import type { FileSpec, ImageSpec, KernelSpec, LinuxKitConfig, MountSpec, VolumeSpec } from './schema.ts';

/**
 * The configuration, written into the image by an entry of `files` with `metadata`: with full
 * names of images, all files merged, keys and layout as LinuxKit's own tool writes them. In its
 * YAML, structures of the OCI runtime-spec have lower-case keys and are written in full, with
 * null for what is not set; in its JSON they have that specification's names.
 */
export function metadataText(config: LinuxKitConfig, format: 'yaml' | 'json'): string {
  const dialect = format === 'json' ? JSON_DIALECT : YAML_DIALECT;
  const metadata: JsonObject = {
    kernel: kernel(config.kernel ?? {}),
    init: dialect.list((config.init ?? []).map(expandReference)),
    onboot: dialect.list((config.onboot ?? []).map((image) => container(image, dialect))),
    onshutdown: dialect.list((config.onshutdown ?? []).map((image) => container(image, dialect))),
    services: dialect.list((config.services ?? []).map((image) => container(image, dialect))),
    files: dialect.list((config.files ?? []).map(fileMetadata)),
    volumes: dialect.list((config.volumes ?? []).map(volume)),
  };
  return format === 'json' ? goJson(metadata) : goYaml(metadata);
}

/** Where the two formats differ. */
interface Dialect {
  readonly list: (items: readonly (string | JsonObject)[]) => readonly (string | JsonObject)[] | null;
  readonly mount: (mount: MountSpec) => JsonObject;
  readonly mappings: (mappings: ImageSpec['uidMappings']) => readonly JsonObject[] | undefined;
  readonly resources: (resources: NonNullable<ImageSpec['resources']>) => JsonObject;
  /** What stands for a structure without any field. */
  readonly emptyStructure: JsonObject | undefined;
}

const JSON_DIALECT: Dialect = {
  list: (items) => (items.length === 0 ? null : items),
  mount: ({ destination = '', type, source, options, uidmappings, gidmappings }) =>
    mountJson({
      destination,
      type,
      source,
      options,
      uidMappings: uidmappings?.map(idMapping),
      gidMappings: gidmappings?.map(idMapping),
    }),
  mappings: (mappings) => mappings && (mappingsJson(mappings.map(idMapping)) ?? []),
  resources: (resources) => resourcesJson(resources, []),
  emptyStructure: {},
};

const YAML_DIALECT: Dialect = {
  list: (items) => items,
  mount: ({
    destination = '',
    type = '',
    source = '',
    options = [],
    uidmappings = [],
    gidmappings = [],
  }) => ({
    destination,
    type,
    source,
    options,
    uidmappings: mappingsYaml(uidmappings),
    gidmappings: mappingsYaml(gidmappings),
  }),
  mappings: (mappings) => mappings && mappingsYaml(mappings),
  resources: resourcesYaml,
  emptyStructure: undefined,
};

function mappingsYaml(mappings: NonNullable<ImageSpec['uidMappings']>): readonly JsonObject[] {
  return mappings
    .map(idMapping)
    .map(({ containerID, hostID, size }) => ({ containerid: containerID, hostid: hostID, size }));
}

function kernel(spec: KernelSpec): JsonObject {
  return {
    image: spec.image === undefined ? '' : expandReference(spec.image),
    cmdline: unlessBlank(spec.cmdline),
    binary: unlessBlank(spec.binary),
    tar: spec.tar,
    ucode: spec.ucode,
  };
}

function container(spec: ImageSpec, dialect: Dialect): JsonObject {
  return {
    name: spec.name,
    image: expandReference(spec.image),
    capabilities: spec.capabilities,
    'capabilities.add': spec['capabilities.add'],
    ambient: spec.ambient,
    mounts: spec.mounts?.map(dialect.mount),
    binds: spec.binds,
    'binds.add': spec['binds.add'],
    devices: spec.devices?.map(({ path, type = '', major = 0, minor = 0, mode }) => ({
      path,
      type,
      major,
      minor,
      mode: unlessBlank(mode),
    })),
    tmpfs: spec.tmpfs,
    command: spec.command,
    env: spec.env,
    cwd: unlessBlank(spec.cwd),
    net: unlessBlank(spec.net),
    pid: unlessBlank(spec.pid),
    ipc: unlessBlank(spec.ipc),
    uts: unlessBlank(spec.uts),
    userns: unlessBlank(spec.userns),
    hostname: unlessBlank(spec.hostname),
    readonly: spec.readonly,
    maskedPaths: spec.maskedPaths,
    readonlyPaths: spec.readonlyPaths,
    uid: spec.uid,
    gid: spec.gid,
    additionalGids: spec.additionalGids,
    noNewPrivileges: spec.noNewPrivileges,
    oomScoreAdj: spec.oomScoreAdj,
    rootfsPropagation: spec.rootfsPropagation,
    cgroupsPath: spec.cgroupsPath,
    resources: resources(spec, dialect),
    sysctl: spec.sysctl && (sortedMap(spec.sysctl) ?? {}),
    rlimits: spec.rlimits,
    uidMappings: dialect.mappings(spec.uidMappings),
    gidMappings: dialect.mappings(spec.gidMappings),
    annotations: spec.annotations && (sortedMap(spec.annotations) ?? {}),
    runtime: runtime(spec.runtime, dialect),
  };
}

/** The key of 2017 is written as what it means. */
function resources(spec: ImageSpec, dialect: Dialect): JsonObject | undefined {
  const { disableOOMKiller } = spec;
  if (disableOOMKiller === undefined) return spec.resources && dialect.resources(spec.resources);
  return dialect.resources({ ...spec.resources, memory: { disableOOMKiller, ...spec.resources?.memory } });
}

function runtime(spec: ImageSpec['runtime'], dialect: Dialect): JsonObject | undefined {
  if (spec === undefined) return undefined;
  const { cgroup, ipc, mnt, net, pid, user, uts } = spec.bindNS ?? {};
  const bindNS: JsonObject = { cgroup, ipc, mnt, net, pid, user, uts };
  return {
    cgroups: spec.cgroups,
    mounts: spec.mounts?.map(dialect.mount),
    mkdir: spec.mkdir,
    interfaces: spec.interfaces?.map(({ name, add, peer, createInRoot }) => ({
      name: unlessBlank(name),
      add: unlessBlank(add),
      peer: unlessBlank(peer),
      createInRoot: createInRoot ?? false,
    })),
    bindNS: Object.values(bindNS).some((path) => path !== undefined) ? bindNS : dialect.emptyStructure,
    namespace: spec.namespace,
  };
}

function fileMetadata(spec: FileSpec): JsonObject {
  return {
    path: spec.path,
    directory: spec.directory ?? false,
    symlink: unlessBlank(spec.symlink),
    contents: spec.contents,
    source: unlessBlank(spec.source),
    metadata: spec.metadata,
    optional: spec.optional ?? false,
    mode: unlessBlank(spec.mode),
    uid: spec.uid,
    gid: spec.gid,
  };
}

function volume(spec: VolumeSpec): JsonObject {
  return {
    name: spec.name,
    image: unlessBlank(spec.image),
    readonly: spec.readonly || undefined,
    format: spec.format,
    platforms: unlessEmpty(spec.platforms),
  };
}
