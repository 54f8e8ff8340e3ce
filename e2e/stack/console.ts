import { waitFor } from '../process/wait.ts';
import { Failure, tail } from '../progress/failure.ts';
import type { Kubectl } from './kubectl.ts';

const DEADLINE_MS = 180_000;

/** A machine's console as far as it was read. */
export interface ConsoleRead {
  /** Name of the pod whose log it is. */
  readonly pod: string;
  /** All of it. */
  readonly text: string;
  /** Its last lines, for people. */
  readonly tail: string;
}

/**
 * Reads the console of a machine's newest virtual machine until a line matches.
 * @throws Failure `ConsoleSilent` with the console's end when none does within three minutes.
 */
export async function consoleLine(
  kubectl: Kubectl,
  namespace: string,
  machine: string,
  pattern: RegExp,
  signal: AbortSignal,
): Promise<ConsoleRead> {
  let last: ConsoleRead | undefined;
  const probe = async (): Promise<ConsoleRead | undefined> => {
    last = (await readConsole(kubectl, namespace, machine, signal)) ?? last;
    return last !== undefined && pattern.test(last.text) ? last : undefined;
  };
  try {
    return await waitFor(`a console line that matches ${pattern}`, probe, {
      signal,
      timeout: DEADLINE_MS,
      interval: 500,
    });
  } catch (error) {
    signal.throwIfAborted();
    throw new Failure(
      'ConsoleSilent',
      `no line of the console of ${namespace}/${machine} matches ${pattern}`,
      {
        log: last?.tail ?? 'there is no console: no pod of the machine has started',
        advice: `see kubectl --namespace ${namespace} describe linuxkitmachine ${machine}`,
        cause: error,
      },
    );
  }
}

/** The console as it stands; undefined when no pod of the machine has one yet. */
export async function readConsole(
  kubectl: Kubectl,
  namespace: string,
  machine: string,
  signal: AbortSignal,
): Promise<ConsoleRead | undefined> {
  const selector = `linuxkit.dev/machine=${machine},kubevirt.io=virt-launcher`;
  const pods = await kubectl.run(
    [
      `--namespace=${namespace}`,
      'get',
      'pods',
      '-l',
      selector,
      '--sort-by=.metadata.creationTimestamp',
      '-o',
      'name',
    ],
    signal,
  );
  const pod = pods.trim().split('\n').at(-1);
  if (pod === undefined || pod === '') return undefined;
  // A container that has not started has no log; nor has a pod that just went.
  const text = await kubectl
    .run([`--namespace=${namespace}`, 'logs', pod, '-c', 'guest-console-log'], signal)
    .catch(() => undefined);
  return text === undefined ? undefined : { pod, text, tail: tail(text, 25) };
}

/** `kubectl get lki,lkm` as a user sees it. */
export async function imagesAndMachines(kubectl: Kubectl, signal: AbortSignal): Promise<string> {
  return await kubectl.run(['get', 'linuxkitimages,linuxkitmachines', '-o', 'wide'], signal);
}
