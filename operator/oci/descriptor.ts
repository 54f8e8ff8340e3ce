import { OciError } from './errors.ts';
import { digestAt, invalid, isArray, isObject, type JsonObject, strings } from './json-document.ts';
import type { Descriptor, Platform } from './types.ts';

/** Descriptors that one document may list. Docker stops at 127 layers. */
const MAX_DESCRIPTORS = 1000;

/** The descriptors in the list `field` of a document (OCI image-spec, descriptor.md). */
export function descriptors(document: JsonObject, field: string, name: string): readonly Descriptor[] {
  const list = document[field];
  if (!isArray(list)) throw invalid(name, `"${field}" is not a list`);
  if (list.length > MAX_DESCRIPTORS) {
    throw new OciError(
      'LimitExceeded',
      `${name}: "${field}" has more than MAX_DESCRIPTORS allows (${MAX_DESCRIPTORS})`,
    );
  }
  return list.map((item, at) => descriptor(item, `${field}[${at}]`, name));
}

/** One descriptor. `where` is its path in the document. */
export function descriptor(value: unknown, where: string, name: string): Descriptor {
  if (!isObject(value)) throw invalid(name, `"${where}" is not a descriptor`);
  const { mediaType, size, artifactType } = value;
  if (typeof mediaType !== 'string') throw invalid(name, `"${where}" has no media type`);
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) {
    throw invalid(name, `"${where}" has no size in bytes`);
  }
  const platform =
    value['platform'] === undefined || value['platform'] === null
      ? undefined
      : platformOf(value['platform'], where, name);
  const annotations = strings(value['annotations'], `${where}.annotations`, name);
  return {
    mediaType,
    digest: digestAt(value['digest'], where, name),
    size,
    ...(typeof artifactType === 'string' && { artifactType }),
    ...(platform !== undefined && { platform }),
    ...(annotations !== undefined && { annotations }),
  };
}

function platformOf(value: unknown, where: string, name: string): Platform {
  if (!isObject(value)) throw invalid(name, `"${where}.platform" is not an object`);
  const { os, architecture, variant } = value;
  if (typeof os !== 'string' || typeof architecture !== 'string') {
    throw invalid(name, `"${where}.platform" lacks "os" or "architecture"`);
  }
  return { os, architecture, ...(typeof variant === 'string' && variant !== '' && { variant }) };
}
