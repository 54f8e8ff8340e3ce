import type { Readable } from 'node:stream';
import { request } from 'undici';

import type { Descriptor } from '../../operator/oci/types.ts';
import { ImageError } from './image-error.ts';
import type { WrittenImage } from './oci-writer.ts';

/** Longest wait for a registry on this machine to answer, in milliseconds. */
const ANSWER_DEADLINE = 60_000;

export interface PushTarget {
  /** `host:port` of a registry that speaks plain HTTP, such as 127.0.0.1:5000. */
  readonly registry: string;
  readonly repository: string;
  readonly tag: string;
}

/**
 * Pushes what the registry lacks (distribution-spec, "Pushing blobs" in one upload, then
 * "Pushing manifests"). Throws `RegistryRefused` with the status and the registry's words.
 */
export async function pushImage(
  image: WrittenImage,
  target: PushTarget,
  signal?: AbortSignal,
): Promise<void> {
  const isManifest = (descriptor: Descriptor): boolean => /manifest|index/.test(descriptor.mediaType);
  for (const descriptor of image.content) {
    if (isManifest(descriptor)) await putManifest(image, target, descriptor, descriptor.digest, signal);
    else await pushBlob(image, target, descriptor, signal);
  }
  await putManifest(image, target, image.descriptor, target.tag, signal);
}

/** Whether the tag already leads to exactly this image. */
export async function isPublished(
  image: WrittenImage,
  target: PushTarget,
  signal?: AbortSignal,
): Promise<boolean> {
  const url = `http://${target.registry}/v2/${target.repository}/manifests/${target.tag}`;
  const answer = await request(url, {
    method: 'HEAD',
    headers: { accept: image.descriptor.mediaType },
    ...limits(signal),
  });
  await answer.body.dump();
  return answer.statusCode === 200 && answer.headers['docker-content-digest'] === image.descriptor.digest;
}

async function pushBlob(
  image: WrittenImage,
  target: PushTarget,
  blob: Descriptor,
  signal?: AbortSignal,
): Promise<void> {
  const base = `http://${target.registry}/v2/${target.repository}/blobs/`;
  const existing = await request(base + blob.digest, { method: 'HEAD', ...limits(signal) });
  await existing.body.dump();
  if (existing.statusCode === 200) return;

  const session = await request(`${base}uploads/`, { method: 'POST', ...limits(signal) });
  await expectStatus(session, 202, `upload session for ${target.repository}`);
  const location = session.headers['location'];
  if (typeof location !== 'string') {
    throw new ImageError('RegistryRefused', `${target.registry} opened an upload without saying where`);
  }
  const url = new URL(location, base);
  url.searchParams.set('digest', blob.digest);
  const upload = await request(url, {
    method: 'PUT',
    headers: { 'content-type': 'application/octet-stream', 'content-length': String(blob.size) },
    body: image.layout.read(blob.digest),
    ...limits(signal),
  });
  await expectStatus(upload, 201, `blob ${blob.digest} of ${target.repository}`);
}

async function putManifest(
  image: WrittenImage,
  target: PushTarget,
  manifest: Descriptor,
  reference: string,
  signal?: AbortSignal,
): Promise<void> {
  const answer = await request(`http://${target.registry}/v2/${target.repository}/manifests/${reference}`, {
    method: 'PUT',
    headers: { 'content-type': manifest.mediaType, 'content-length': String(manifest.size) },
    body: image.layout.read(manifest.digest),
    ...limits(signal),
  });
  await expectStatus(answer, 201, `manifest ${target.repository}:${reference}`);
}

interface Answer {
  readonly statusCode: number;
  readonly body: Readable & { text(): Promise<string> };
}

async function expectStatus(answer: Answer, status: number, what: string): Promise<void> {
  const text = await answer.body.text();
  if (answer.statusCode === status) return;
  throw new ImageError(
    'RegistryRefused',
    `pushing ${what}: HTTP ${answer.statusCode} where ${status} was expected: ${text.slice(0, 500)}`,
  );
}

function limits(signal?: AbortSignal): { headersTimeout: number; bodyTimeout: number; signal?: AbortSignal } {
  return {
    headersTimeout: ANSWER_DEADLINE,
    bodyTimeout: ANSWER_DEADLINE,
    ...(signal === undefined ? {} : { signal }),
  };
}
