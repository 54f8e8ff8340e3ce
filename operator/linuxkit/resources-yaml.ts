import type { JsonObject } from './go-json.ts';
import { hugePageSizeName } from './resources.ts';
import type { ResourcesSpec } from './schema.ts';

/**
 * Control-group limits as go-yaml writes the runtime-spec's Go types, for metadata in YAML:
 * names in lower case, and every field there, null or empty where it is not set.
 */
export function resourcesYaml(spec: ResourcesSpec): JsonObject {
  const { memory, cpu, pids, blockio, network } = spec;
  return {
    devices: (spec.devices ?? []).map(
      ({ allow = false, type = '', major = null, minor = null, access = '' }) => ({
        allow,
        type,
        major,
        minor,
        access,
      }),
    ),
    memory: memory === undefined ? null : memoryYaml(memory),
    cpu: cpu === undefined ? null : cpuYaml(cpu),
    pids: pids === undefined ? null : { limit: pids.limit ?? 0 },
    blockio: blockio === undefined ? null : blockIoYaml(blockio),
    hugepagelimits: (spec.hugepageLimits ?? []).map(({ pageSize, limit }) => ({
      pagesize: hugePageSizeName(pageSize),
      limit,
    })),
    network: network === undefined ? null : networkYaml(network),
    rdma: {},
    unified: {},
  };
}

function memoryYaml(spec: NonNullable<ResourcesSpec['memory']>): JsonObject {
  return {
    limit: spec.limit ?? null,
    reservation: spec.reservation ?? null,
    swap: spec.swap ?? null,
    kernel: spec.kernel ?? null,
    kerneltcp: spec.kernelTCP ?? null,
    swappiness: spec.swappiness ?? null,
    disableoomkiller: spec.disableOOMKiller ?? null,
    usehierarchy: null,
    checkbeforeupdate: null,
  };
}

function cpuYaml(spec: NonNullable<ResourcesSpec['cpu']>): JsonObject {
  return {
    shares: spec.shares ?? null,
    quota: spec.quota ?? null,
    burst: null,
    period: spec.period ?? null,
    realtimeruntime: spec.realtimeRuntime ?? null,
    realtimeperiod: spec.realtimePeriod ?? null,
    cpus: spec.cpus ?? '',
    mems: spec.mems ?? '',
    idle: null,
  };
}

type BlockIo = NonNullable<ResourcesSpec['blockio']>;

function blockIoYaml(spec: BlockIo): JsonObject {
  return {
    weight: spec.weight ?? null,
    leafweight: spec.leafWeight ?? null,
    weightdevice: (spec.weightDevice ?? []).map(
      ({ major = 0, minor = 0, weight = null, leafWeight = null }) => ({
        major,
        minor,
        weight,
        leafweight: leafWeight,
      }),
    ),
    throttlereadbpsdevice: throttleYaml(spec.throttleReadBpsDevice),
    throttlewritebpsdevice: throttleYaml(spec.throttleWriteBpsDevice),
    throttlereadiopsdevice: throttleYaml(spec.throttleReadIOPSDevice),
    throttlewriteiopsdevice: throttleYaml(spec.throttleWriteIOPSDevice),
  };
}

function throttleYaml(devices: BlockIo['throttleReadBpsDevice']): readonly JsonObject[] {
  return (devices ?? []).map(({ major = 0, minor = 0, rate = 0 }) => ({ major, minor, rate }));
}

function networkYaml(spec: NonNullable<ResourcesSpec['network']>): JsonObject {
  return {
    classid: spec.classID ?? null,
    priorities: (spec.priorities ?? []).map(({ name, priority }) => ({ name, priority })),
  };
}
