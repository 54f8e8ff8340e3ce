import { ApiError } from './api-error.ts';
import type { WatchEvent, WatchOptions } from './api-options.ts';
import { reasonOf } from './clock.ts';
import { lines } from './lines.ts';
import type { KubeObject } from './objects.ts';
import { named, pathOf, selectors, told } from './resource-path.ts';
import type { Resource } from './resources.ts';
import { type Call, type Transport, unreachable } from './transport.ts';

/** Largest watch event, in bytes: etcd keeps no object above a few MiB. */
const EVENT_LIMIT = 16 * 1024 * 1024;

/**
 * One watch, until the server or the connection ends it. Bookmarks are asked for. The events
 * are as the server sent them; ERROR events are handed on.
 */
export async function* watchOnce<T extends KubeObject>(
  transport: Transport,
  type: Resource<T>,
  options: WatchOptions,
): AsyncGenerator<WatchEvent<T>> {
  const what = told('watch', type, {});
  const call: Call = {
    method: 'GET',
    path: pathOf(type, options.namespace === undefined ? {} : { namespace: options.namespace }),
    query: {
      ...selectors(options),
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion: options.resourceVersion,
      timeoutSeconds: String(options.timeoutSeconds),
    },
    ...(options.metadataOnly === true
      ? { accept: 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1' }
      : {}),
    what,
  };
  const response = await transport.stream(call, options.signal);
  options.heard?.();
  try {
    for await (const line of lines(heard(response.body, options.heard), EVENT_LIMIT)) {
      yield eventOf(type, line, what);
    }
  } catch (error) {
    if (options.signal.aborted) throw reasonOf(options.signal);
    throw error instanceof ApiError ? error : unreachable(what, error);
  } finally {
    response.body.destroy();
  }
}

function eventOf<T extends KubeObject>(type: Resource<T>, line: string, what: string): WatchEvent<T> {
  let event: unknown;
  try {
    event = JSON.parse(line);
  } catch (error) {
    throw new ApiError('InvalidAnswer', `${what}: an event is not JSON`, { cause: error });
  }
  const parsed = event as WatchEvent<T>;
  switch (parsed.type) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
      return { type: parsed.type, object: named(type, parsed.object) };
    case 'BOOKMARK':
    case 'ERROR':
      return parsed;
    default:
      throw new ApiError('InvalidAnswer', `${what}: an event of an unknown type`);
  }
}

async function* heard(
  body: AsyncIterable<Uint8Array>,
  notify: (() => void) | undefined,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    notify?.();
    yield chunk;
  }
}
