import { createHash } from 'node:crypto';
import type { BuildReason, LinuxKitImage } from '../../api/image.ts';
import { ANNOTATION_REBUILD } from '../../api/names.ts';
import type { RegistrySettings } from '../../build/request.ts';
import { canonicalJson } from './canonical.ts';

/**
 * What determines the output of a build, field by field. Whole structs are not hashed: a field
 * added to the API would then build every image in every cluster again.
 */
export interface BuildInputs {
  readonly spec: {
    readonly namespace: string;
    readonly image: string;
    readonly architecture: string;
    readonly compression: string;
    /** As the API server keeps it. */
    readonly config: unknown;
    readonly configFrom: unknown;
    readonly files: unknown;
    readonly verification: unknown;
    /** Nothing of the artifact depends on it, but it counts only once it lies there. Undefined where it is not pushed. */
    readonly bootImage: unknown;
  };
  /** `name`, `uid/resourceVersion` of each ConfigMap that the spec names. Secrets are not ours to look at. */
  readonly configMaps: readonly (readonly [string, string])[];
  readonly engine: {
    readonly salts: readonly string[];
    readonly insecureRegistries: readonly string[];
    /** Undefined where there are none: the hashes of before hold. */
    readonly registryMirrors?: RegistrySettings['registryMirrors'];
    /** What failed for a limit is built again under another one. */
    readonly limits?: RegistrySettings['limits'];
  };
  /** The value of the annotation that asks for a build, as last seen. */
  readonly request: string;
  /** The last tick of `refresh.interval`, RFC 3339; empty before the first. */
  readonly refresh: string;
}

const PART = 8;
const PARTS = [
  'spec',
  'configMaps',
  'engine',
  'request',
  'refresh',
] as const satisfies readonly (keyof BuildInputs)[];
type Part = (typeof PARTS)[number];

/**
 * The hash that a build is known by: 24 hex digits over everything, from which the Job is named,
 * then 8 for each part, by which two hashes tell what changed between them. 64 digits in all.
 */
export function buildHash(inputs: BuildInputs): string {
  const digests = PARTS.map((part) => sha256(canonicalJson(inputs[part])));
  const whole = sha256(canonicalJson(['linuxkit.dev/build-hash/v1', ...digests]));
  return whole.slice(0, 64 - PART * PARTS.length) + digests.map((digest) => digest.slice(0, PART)).join('');
}

/** Why a build with hash `wanted` is needed when `built` is there. The part that a person changed wins. */
export function reasonForBuild(built: string | undefined, wanted: string): BuildReason {
  if (built?.length !== wanted.length) return 'Created';
  const changed = (part: Part): boolean => partOf(built, part) !== partOf(wanted, part);
  if (changed('request')) return 'Requested';
  if (changed('spec')) return 'SpecChanged';
  if (changed('configMaps')) return 'ConfigChanged';
  if (changed('engine')) return 'EngineChanged';
  return 'Refresh';
}

function partOf(hash: string, part: Part): string {
  const start = hash.length - PART * (PARTS.length - PARTS.indexOf(part));
  return hash.slice(start, start + PART);
}

function sha256(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex');
}

/** `NAME-` and the hash's first ten digits, at most 63 characters: pods' labels carry it whole. */
export function buildName(image: string, hash: string): string {
  const suffix = `-${hash.slice(0, 10)}`;
  const stem = image
    .replaceAll('.', '-')
    .slice(0, 63 - suffix.length)
    .replace(/-+$/, '');
  return stem + suffix;
}

/** Names of the ConfigMaps from which the spec takes text, each once, sorted. */
export function referencedConfigMaps(spec: LinuxKitImage['spec']): readonly string[] {
  const names = new Set<string>();
  const { publicKeys = [], trustedRoot } = spec.verification ?? {};
  const contents = (spec.files ?? []).map((file) => file.contentsFrom);
  for (const source of [spec.configFrom, ...contents, ...publicKeys, trustedRoot]) {
    if (source?.configMapKeyRef !== undefined) names.add(source.configMapKeyRef.name);
  }
  return [...names].sort();
}

/**
 * The annotation's value; without the annotation, the value that was last acted upon, so that
 * taking the annotation away asks for nothing.
 */
export function rebuildRequest(image: LinuxKitImage): string {
  return (image.metadata.annotations?.[ANNOTATION_REBUILD] ?? image.status?.lastHandledRebuild ?? '').slice(
    0,
    256,
  );
}

/** Without the Secret to push with, which nothing keeps: with another one the same image would lie there. */
function pushedTo({ bootImage }: LinuxKitImage['spec']): BuildInputs['spec']['bootImage'] {
  return bootImage && { repository: bootImage.repository, pullSecretName: bootImage.pullSecretName };
}

/** The inputs of the build that `image` wants. `rawConfig` is `spec.config` as the API server keeps it. */
export function buildInputs(
  image: LinuxKitImage,
  rawConfig: unknown,
  context: {
    readonly configMaps: ReadonlyMap<string, string>;
    readonly salts: readonly string[];
    readonly registries: RegistrySettings;
    readonly refresh: string;
  },
): BuildInputs {
  const { spec, metadata } = image;
  const { insecureRegistries, registryMirrors = {}, limits = {} } = context.registries;
  return {
    spec: {
      namespace: metadata.namespace,
      image: metadata.name,
      architecture: spec.architecture,
      compression: spec.compression,
      config: rawConfig,
      configFrom: spec.configFrom,
      files: spec.files,
      verification: spec.verification,
      bootImage: pushedTo(spec),
    },
    configMaps: [...context.configMaps].sort(([left], [right]) => (left < right ? -1 : 1)),
    engine: {
      salts: context.salts,
      insecureRegistries: [...insecureRegistries].sort(),
      ...(Object.keys(registryMirrors).length === 0 ? {} : { registryMirrors }),
      ...(Object.keys(limits).length === 0 ? {} : { limits }),
    },
    request: rebuildRequest(image),
    refresh: context.refresh,
  };
}
