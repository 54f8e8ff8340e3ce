import { descriptor, descriptors } from './descriptor.ts';
import { limitExceeded, OciError } from './errors.ts';
import {
  digestAt,
  invalid,
  isArray,
  isObject,
  type JsonObject,
  parseObject,
  strings,
} from './json-document.ts';
import type { Descriptor, ImageConfig } from './types.ts';

/** Manifests and configurations as registries serve them (OCI image-spec: manifest.md, image-index.md, config.md). */

export const MEDIA_TYPES = {
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  ociConfig: 'application/vnd.oci.image.config.v1+json',
  ociLayer: 'application/vnd.oci.image.layer.v1.tar',
  dockerIndex: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerConfig: 'application/vnd.docker.container.image.v1+json',
} as const;

/** What is asked for, best first. */
export const ACCEPT_MANIFESTS = [
  MEDIA_TYPES.ociIndex,
  MEDIA_TYPES.ociManifest,
  MEDIA_TYPES.dockerIndex,
  MEDIA_TYPES.dockerManifest,
].join(', ');

const INDEXES: ReadonlySet<string> = new Set([MEDIA_TYPES.ociIndex, MEDIA_TYPES.dockerIndex]);
const MANIFESTS: ReadonlySet<string> = new Set([MEDIA_TYPES.ociManifest, MEDIA_TYPES.dockerManifest]);
const CONFIGS: ReadonlySet<string> = new Set([MEDIA_TYPES.ociConfig, MEDIA_TYPES.dockerConfig]);

/** As many as there may be layers. */
const MAX_DIFF_IDS = 1000;

export type Manifest =
  | { readonly kind: 'index'; readonly mediaType: string; readonly manifests: readonly Descriptor[] }
  | {
      readonly kind: 'image';
      readonly mediaType: string;
      readonly config: Descriptor;
      readonly layers: readonly Descriptor[];
    };

/**
 * Reads an index or a manifest. `contentType` is what the registry called it; where it says nothing
 * useful, the document's own word counts. A document that could be read as both is refused, since
 * two readers would see two different images in it. `name` says in messages what is read.
 */
export function parseManifest(bytes: Uint8Array, contentType: string | undefined, name: string): Manifest {
  const document = parseObject(bytes, name);
  const mediaType = mediaTypeOf(document, contentType, name);
  if ('manifests' in document && ('layers' in document || 'config' in document)) {
    throw invalid(name, 'it is an index and an image at once');
  }
  if (INDEXES.has(mediaType)) {
    return { kind: 'index', mediaType, manifests: descriptors(document, 'manifests', name) };
  }
  const config = descriptor(document['config'], 'config', name);
  if (!CONFIGS.has(config.mediaType)) {
    throw new OciError(
      'UnsupportedMediaType',
      `${name}: it is no container image but an artifact (its configuration is ${JSON.stringify(config.mediaType.slice(0, 100))})`,
    );
  }
  return { kind: 'image', mediaType, config, layers: descriptors(document, 'layers', name) };
}

/** Reads the parts of an image configuration that a build uses. */
export function parseImageConfig(bytes: Uint8Array, name: string): ImageConfig {
  const document = parseObject(bytes, name);
  const architecture = document['architecture'];
  const os = document['os'];
  if (typeof architecture !== 'string' || typeof os !== 'string' || architecture === '' || os === '') {
    throw invalid(name, 'its configuration lacks "architecture" or "os"');
  }
  const rootfs = document['rootfs'];
  const diffIds = isObject(rootfs) ? rootfs['diff_ids'] : undefined;
  if (!isArray(diffIds)) throw invalid(name, 'its configuration lacks the list "rootfs.diff_ids"');
  if (diffIds.length > MAX_DIFF_IDS) throw limitExceeded('MAX_DIFF_IDS', MAX_DIFF_IDS, name);
  const variant = document['variant'];
  return {
    architecture,
    os,
    ...(typeof variant === 'string' && variant !== '' && { variant }),
    config: containerConfig(document['config'], name),
    diffIds: diffIds.map((digest, at) => digestAt(digest, `rootfs.diff_ids[${at}]`, name)),
  };
}

function containerConfig(value: unknown, name: string): ImageConfig['config'] {
  if (value === undefined || value === null) return {};
  if (!isObject(value)) throw invalid(name, '"config" of its configuration is not an object');
  const list = (field: string): readonly string[] | undefined => {
    const items = value[field];
    if (items === undefined || items === null) return undefined;
    if (!isArray(items) || !items.every((item) => typeof item === 'string')) {
      throw invalid(name, `"config.${field}" of its configuration is not a list of strings`);
    }
    return items;
  };
  const text = (field: string): string | undefined => {
    const item = value[field];
    if (item === undefined || item === null) return undefined;
    if (typeof item !== 'string')
      throw invalid(name, `"config.${field}" of its configuration is not a string`);
    return item;
  };
  const entrypoint = list('Entrypoint');
  const cmd = list('Cmd');
  const env = list('Env');
  const workingDir = text('WorkingDir');
  const labels = strings(value['Labels'], 'config.Labels', name);
  return {
    ...(entrypoint !== undefined && { Entrypoint: entrypoint }),
    ...(cmd !== undefined && { Cmd: cmd }),
    ...(env !== undefined && { Env: env }),
    ...(workingDir !== undefined && { WorkingDir: workingDir }),
    ...(labels !== undefined && { Labels: labels }),
  };
}

function mediaTypeOf(document: JsonObject, contentType: string | undefined, name: string): string {
  const served = contentType?.split(';', 1)[0]?.trim().toLowerCase();
  const own = typeof document['mediaType'] === 'string' ? document['mediaType'] : undefined;
  const known = (type: string | undefined): type is string =>
    type !== undefined && (INDEXES.has(type) || MANIFESTS.has(type));
  if (known(served) && known(own) && served !== own) {
    throw invalid(name, `the registry calls it ${served}, but it calls itself ${own}`);
  }
  if (known(own)) return own;
  if (known(served)) return served;
  if (document['schemaVersion'] === 1) {
    throw new OciError(
      'UnsupportedMediaType',
      `${name}: its manifest is of Docker's schema 1, which no longer is in use; push the image again with a current tool`,
    );
  }
  // Some registries serve everything as octets, and OCI lets a document leave its type out.
  if (own === undefined && 'manifests' in document) return MEDIA_TYPES.ociIndex;
  if (own === undefined && 'layers' in document) return MEDIA_TYPES.ociManifest;
  throw new OciError(
    'UnsupportedMediaType',
    `${name}: neither an image nor an index, but ${JSON.stringify((own ?? served ?? 'of no type').slice(0, 100))}`,
  );
}
