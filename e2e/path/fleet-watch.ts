import { setTimeout as pause } from 'node:timers/promises';
import { type LinuxKitImage, parseImage } from '../../operator/api/image.ts';
import { type LinuxKitMachine, parseMachine } from '../../operator/api/machine.ts';
import {
  IMAGES,
  type ImageObject,
  MACHINES,
  type MachineObject,
} from '../../operator/controllers/image/objects.ts';
import { VIRTUAL_MACHINE_INSTANCES } from '../../operator/controllers/machine/caches.ts';
import type { VirtualMachineInstance } from '../../operator/kubevirt/types.ts';
import { ClusterAccess } from '../../operator/runtime/access.ts';
import { ApiClient } from '../../operator/runtime/api-client.ts';
import { Informer } from '../../operator/runtime/informer.ts';
import type { Stored } from '../../operator/runtime/objects.ts';

/** Something that happened to a virtual machine; `at` in milliseconds, of one clock for all. */
export interface Moment {
  readonly name: string;
  readonly at: number;
}

/** How often the service of each guest is asked, whether or not it has answered before. */
const ASK_MS = 500;
const ANSWER_MS = 5000;

/**
 * Watches the virtual machines of a namespace from outside: what is restarted and comes up when, which
 * artifacts each has booted, and, by asking the web server in every guest all the while, how many answer.
 */
export class FleetWatch implements AsyncDisposable {
  readonly restarts: Moment[] = [];
  readonly arrivals: Moment[] = [];
  /** Artifact digests by virtual machine. */
  readonly booted = new Map<string, Set<string>>();
  /** When an image's status first named a digest. */
  readonly artifacts = new Map<string, number>();
  readonly #instances: Informer<VirtualMachineInstance>;
  readonly #images: Informer<ImageObject>;
  readonly #machines: Informer<MachineObject>;
  readonly #namespace: string;
  readonly #client: ApiClient;
  readonly #stop = new AbortController();
  readonly #parts: Promise<void>[] = [];
  readonly #machine: string;
  #story = 0;
  #least = Number.POSITIVE_INFINITY;
  #rounds = 0;

  private constructor(client: ApiClient, namespace: string, machine: string) {
    this.#client = client;
    this.#machine = machine;
    this.#namespace = namespace;
    this.#instances = new Informer(client, VIRTUAL_MACHINE_INSTANCES, { namespace });
    this.#machines = new Informer(client, MACHINES, { namespace });
    this.#images = new Informer(client, IMAGES, { namespace });
    this.#images.onChange(({ object }) => {
      const digest = object.status?.artifact?.digest;
      if (digest !== undefined && !this.artifacts.has(digest)) this.artifacts.set(digest, performance.now());
    });
    this.#instances.onChange((change) =>
      this.#saw(change.object, change.type === 'updated' ? change.old : undefined, change.type),
    );
    const { signal } = this.#stop;
    for (const informer of [this.#images, this.#machines, this.#instances])
      this.#parts.push(informer.run(signal));
  }

  /** Of one LinuxKitMachine the guests are asked; of all in the namespace the moments are kept. */
  static async start(kubeconfig: string, namespace: string, machine: string): Promise<FleetWatch> {
    const watch = new FleetWatch(new ApiClient(ClusterAccess.load({ file: kubeconfig })), namespace, machine);
    await watch.#instances.waitForSync(AbortSignal.timeout(30_000));
    watch.#parts.push(watch.#ask(watch.#stop.signal));
    return watch;
  }

  /** Forgets moments and answers so far: what follows is another story. */
  begin(): void {
    this.#story += 1;
    this.restarts.length = 0;
    this.arrivals.length = 0;
    this.#least = Number.POSITIVE_INFINITY;
    this.#rounds = 0;
  }

  /** The fewest guests that answered in one round since `begin`. */
  get leastAnswers(): number {
    if (this.#rounds === 0) throw new Error('no guest has been asked yet');
    return this.#least;
  }

  /** As it was last seen: a test that waits for it need not ask. */
  image(name: string): LinuxKitImage | undefined {
    const found = this.#images.get({ namespace: this.#namespace, name });
    return found === undefined ? undefined : parseImage(found);
  }

  machine(name: string): LinuxKitMachine | undefined {
    const found = this.#machines.get({ namespace: this.#namespace, name });
    return found === undefined ? undefined : parseMachine(found);
  }

  /** Uid of each instance, by virtual machine. */
  get uids(): ReadonlyMap<string, string> {
    return new Map(this.#instances.list().map(({ metadata }) => [metadata.name, metadata.uid]));
  }

  /** Virtual machines that have booted an artifact. */
  visitors(digest: string): readonly string[] {
    return [...this.booted].filter(([, digests]) => digests.has(digest)).map(([name]) => name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await Promise.allSettled(this.#parts);
    await this.#client.access[Symbol.asyncDispose]();
  }

  #saw(
    vmi: Stored<VirtualMachineInstance>,
    old: Stored<VirtualMachineInstance> | undefined,
    type: 'added' | 'updated' | 'deleted',
  ): void {
    const moment = { name: vmi.metadata.name, at: performance.now() };
    const digest = vmi.metadata.annotations?.['linuxkit.dev/artifact'];
    if (digest !== undefined) {
      const known = this.booted.get(moment.name) ?? new Set();
      this.booted.set(moment.name, known.add(digest));
    }
    if (type === 'updated' && isEnding(vmi) && (old === undefined || !isEnding(old)))
      this.restarts.push(moment);
    if (type !== 'deleted' && isReady(vmi) && (old === undefined || !isReady(old)))
      this.arrivals.push(moment);
  }

  /** One that hangs holds up nobody: a guest that is down does so until its address is used again. */
  async #ask(signal: AbortSignal): Promise<void> {
    const rounds = new Set<Promise<void>>();
    while (!signal.aborted) {
      const round = this.#askAll(signal).finally(() => rounds.delete(round));
      rounds.add(round);
      await pause(ASK_MS, undefined, { signal }).catch(() => undefined);
    }
    await Promise.all(rounds);
  }

  async #askAll(signal: AbortSignal): Promise<void> {
    const story = this.#story;
    const answers = await Promise.all(
      this.#instances
        .list()
        .filter((vmi) => vmi.metadata.labels?.['linuxkit.dev/machine'] === this.#machine)
        .map((vmi) => answersAt(vmi.status?.interfaces?.[0]?.ipAddress, signal)),
    );
    if (signal.aborted || story !== this.#story) return;
    this.#least = Math.min(this.#least, answers.filter(Boolean).length);
    this.#rounds += 1;
  }
}

function isEnding(vmi: VirtualMachineInstance): boolean {
  return vmi.metadata.deletionTimestamp !== undefined;
}

function isReady(vmi: VirtualMachineInstance): boolean {
  return (
    !isEnding(vmi) &&
    vmi.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true
  );
}

async function answersAt(address: string | undefined, signal: AbortSignal): Promise<boolean> {
  if (address === undefined) return false;
  try {
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]);
    const answer = await fetch(`http://${address}/`, { signal: deadline });
    await answer.body?.cancel();
    return answer.ok;
  } catch {
    return false;
  }
}
