import { readFile } from 'node:fs/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { durationMilliseconds } from '../api/duration.ts';
import { IMAGE_KIND, MACHINE_KIND } from '../api/names.ts';
import { IMAGES, MACHINES } from '../controllers/image/objects.ts';
import { CodedError } from '../errors.ts';
import { ClusterAccess } from '../runtime/access.ts';
import { ApiClient } from '../runtime/api-client.ts';
import { SYSTEM_CLOCK, sleep } from '../runtime/clock.ts';
import { type KubeObject, keyOf, type Stored } from '../runtime/objects.ts';
import type { Resource } from '../runtime/resources.ts';
import { stopSignal } from './exit.ts';
import { engineName } from './version.ts';

export class SelfTestError extends CodedError<'NotReady' | 'NotDeleted' | 'InvalidObjects'> {}

/** An image or a machine, as far as a test looks at it. */
interface Tested extends KubeObject {
  readonly status?: {
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly reason?: string;
      readonly message?: string;
      readonly observedGeneration?: number;
    }[];
    readonly lastFailure?: { readonly reason?: string; readonly message?: string; readonly logTail?: string };
  };
}

const POLL_MS = 1_000;
const CLEANUP_MS = 120_000;
const OBJECTS_LIMIT = 1024 * 1024;

/** Adds `self-test`: applies images and machines, waits until each is Ready, and removes them. */
export function registerSelfTest(program: Command): void {
  program
    .command('self-test')
    .summary('build and boot something in the cluster, to see whether all is well')
    .description(
      'Applies the LinuxKitImages and LinuxKitMachines of a JSON file one after the other, waits until each is ' +
        'Ready, then removes them, also after a failure. Needs get, create, patch and delete on both kinds.',
    )
    .requiredOption('--objects <file>', 'JSON list of the objects')
    .option('--timeout <duration>', 'for all of it to become Ready', duration, 600_000)
    .action(async ({ objects, timeout }: { readonly objects: string; readonly timeout: number }) => {
      await using access = ClusterAccess.load();
      const client = new ApiClient(access, { userAgent: engineName() });
      await runSelfTest(client, parsedObjects(await readFile(objects, 'utf8')), {
        stop: stopSignal(),
        timeoutMs: timeout,
        say: (line) => void process.stdout.write(`${line}\n`),
      });
    });
}

/** Applies, waits, removes. Throws SelfTestError for what does not become Ready, or does not go away. */
export async function runSelfTest(
  client: ApiClient,
  objects: readonly Tested[],
  options: {
    readonly stop: AbortSignal;
    readonly timeoutMs: number;
    readonly say: (line: string) => void;
  },
): Promise<void> {
  const { stop, say } = options;
  const signal = AbortSignal.any([stop, AbortSignal.timeout(options.timeoutMs)]);
  try {
    // What a test before this one may have left.
    await remove(client, objects, signal);
    for (const object of objects) await bringUp(client, object, signal, say);
  } finally {
    await remove(client, objects, AbortSignal.timeout(CLEANUP_MS));
    say('removed what was made');
  }
}

async function bringUp(
  client: ApiClient,
  object: Tested,
  signal: AbortSignal,
  say: (line: string) => void,
): Promise<void> {
  const started = performance.now();
  const what = nameOf(object);
  await client.apply(resourceOf(object), object, { signal, fieldManager: 'linuxkit-self-test' });
  let told = '';
  for (;;) {
    const found = await client.get(resourceOf(object), keyOf(object), { signal });
    const ready = found.status?.conditions?.find(({ type }) => type === 'Ready');
    const state = `${ready?.reason ?? 'Pending'}: ${ready?.message ?? 'nobody has looked at it yet'}`;
    if (state !== told) say(`${what} ${state}`);
    told = state;
    if (ready?.status === 'True' && ready.observedGeneration === found.metadata.generation) {
      say(`${what} is Ready after ${Math.round((performance.now() - started) / 1000)} s`);
      return;
    }
    try {
      await sleep(SYSTEM_CLOCK, POLL_MS, signal);
    } catch (error) {
      throw new SelfTestError('NotReady', `${what} is not Ready: ${state}${failureText(found)}`, {
        cause: error,
      });
    }
  }
}

function failureText({ status }: Stored<Tested>): string {
  const failure = status?.lastFailure;
  if (failure === undefined) return '';
  return `\nlast failure: ${failure.reason}: ${failure.message}\n${failure.logTail ?? ''}`;
}

/** Last first: an image is held by the machines that boot it. */
async function remove(client: ApiClient, objects: readonly Tested[], signal: AbortSignal): Promise<void> {
  for (const object of objects.toReversed()) {
    await client.delete(resourceOf(object), keyOf(object), { signal });
    while ((await client.find(resourceOf(object), keyOf(object), { signal })) !== undefined) {
      try {
        await sleep(SYSTEM_CLOCK, POLL_MS, signal);
      } catch (error) {
        throw new SelfTestError(
          'NotDeleted',
          `${nameOf(object)} does not go away: see kubectl describe ${object.kind.toLowerCase()} ${object.metadata.name}`,
          { cause: error },
        );
      }
    }
  }
}

function resourceOf({ kind }: Tested): Resource<Tested> {
  return kind === IMAGE_KIND ? IMAGES : MACHINES;
}

function nameOf({ kind, metadata }: Tested): string {
  return `${kind} ${metadata.namespace}/${metadata.name}`;
}

/** Throws `InvalidObjects` for anything but a list of images and machines with names and namespaces. */
export function parsedObjects(text: string): readonly Tested[] {
  const value: unknown = text.length > OBJECTS_LIMIT ? undefined : JSON.parse(text);
  const objects = Array.isArray(value) ? (value as readonly Partial<Tested>[]) : [];
  const well = objects.every(
    ({ kind, metadata }) =>
      (kind === IMAGE_KIND || kind === MACHINE_KIND) &&
      typeof metadata?.name === 'string' &&
      typeof metadata.namespace === 'string',
  );
  if (objects.length > 0 && well) return objects as readonly Tested[];
  throw new SelfTestError(
    'InvalidObjects',
    `--objects must hold a JSON list of ${IMAGE_KIND}s and ${MACHINE_KIND}s, each with name and namespace`,
  );
}

function duration(text: string): number {
  const ms = durationMilliseconds(text);
  if (ms === undefined) throw new InvalidArgumentError('Not a duration such as 90s or 10m.');
  return ms;
}
