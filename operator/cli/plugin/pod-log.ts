import { pipeline } from 'node:stream/promises';
import { ApiError } from '../../runtime/api-error.ts';
import { SYSTEM_CLOCK, sleep } from '../../runtime/clock.ts';
import type { Stored } from '../../runtime/objects.ts';
import { pathOf } from '../../runtime/resource-path.ts';
import { PODS, type Pod } from '../../runtime/resources.ts';
import { Transport } from '../../runtime/transport.ts';
import { engineName } from '../version.ts';
import { PluginError } from './error.ts';
import type { Session } from './session.ts';

/** How long a container may take to start before following it is given up. */
const START_DEADLINE_MS = 600_000;
const POLL_MS = 1_000;

export interface LogRequest {
  readonly pod: string;
  readonly container: string;
  readonly follow: boolean;
  /** Lines from the end; all of them if left out. */
  readonly tail?: number;
}

/**
 * Copies the log of a container to standard output as it is: what a guest or a build writes is theirs,
 * escape sequences included. Followed, it ends when the container does.
 */
export async function copyLog(session: Session, request: LogRequest): Promise<void> {
  const { client, namespace, signal } = session;
  const transport = new Transport(client.access, { userAgent: engineName() });
  const call = {
    method: 'GET',
    path: pathOf(PODS, { namespace, name: request.pod }, 'log'),
    query: {
      container: request.container,
      follow: request.follow ? 'true' : undefined,
      tailLines: request.tail === undefined ? undefined : String(request.tail),
    },
    accept: 'text/plain, application/json',
    what: `read the log of ${request.container} in pod ${namespace}/${request.pod}`,
  } as const;
  const { body } = await transport.stream(call, signal);
  try {
    await pipeline(body, process.stdout, { end: false, signal });
  } catch (error) {
    // Whoever read it has read enough.
    if (!(error instanceof Error && 'code' in error && error.code === 'EPIPE')) throw error;
  }
}

/** As {@link copyLog}, first waiting for the container to start when it is to be followed. */
export async function copyLogWhenStarted(session: Session, request: LogRequest): Promise<void> {
  const deadline = performance.now() + START_DEADLINE_MS;
  for (let told = false; ; told = true) {
    try {
      await copyLog(session, request);
      return;
    } catch (error) {
      // "container … is waiting to start": the kubelet has no other way to say it.
      const waiting = error instanceof ApiError && error.code === 'BadRequest' && request.follow;
      if (!waiting || performance.now() > deadline) throw error;
      if (!told) session.say(`waiting for ${request.container} in pod ${request.pod} to start`);
    }
    await sleep(SYSTEM_CLOCK, POLL_MS, session.signal);
  }
}

/** The pods that carry these labels, the youngest first. */
export async function podsOf(session: Session, labelSelector: string): Promise<readonly Stored<Pod>[]> {
  const { client, namespace, signal } = session;
  const { items } = await client.list(PODS, { namespace, labelSelector, signal });
  return youngestFirst(items);
}

/** By time of creation, then by name, so that the order is always the same. */
export function youngestFirst<T extends Pick<Pod, 'metadata'>>(pods: readonly T[]): readonly T[] {
  const rank = ({ metadata }: T) => `${metadata.creationTimestamp ?? ''} ${metadata.name}`;
  return pods.toSorted((left, right) => (rank(left) < rank(right) ? 1 : -1));
}

/** Reads a number of lines. Throws PluginError `InvalidName`. */
export function lineCount(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new PluginError('InvalidName', `${JSON.stringify(text)} is no number of lines`);
}
