import { setTimeout as pause } from 'node:timers/promises';
import type { Artifact } from '../../operator/api/image.ts';
import { type LinuxKitMachine, type MachineStatus, parseMachine } from '../../operator/api/machine.ts';
import { IMAGES, type ImageObject, MACHINES } from '../../operator/controllers/image/objects.ts';
import { machineCaches, VIRTUAL_MACHINE_INSTANCES } from '../../operator/controllers/machine/caches.ts';
import { machineController } from '../../operator/controllers/machine/controller.ts';
import { RestartLedger } from '../../operator/controllers/machine/restart-ledger.ts';
import type { VirtualMachineInstance } from '../../operator/kubevirt/types.ts';
import { ClusterAccess } from '../../operator/runtime/access.ts';
import { ApiClient } from '../../operator/runtime/api-client.ts';
import { SILENT_LOGGER } from '../../operator/runtime/logger.ts';
import { NO_METRICS } from '../../operator/runtime/metrics.ts';
import { NAMESPACES, PODS, type Pod } from '../../operator/runtime/resources.ts';
import { Metrics } from '../../operator/telemetry/metrics.ts';
import { ControlPlane } from '../cluster/control-plane.ts';
import { applyCrd, installCrds } from '../cluster/crds.ts';
import { reconcileAll } from '../kubevirt/controller.ts';
import { kubeVirtCrds } from '../kubevirt/manifests.ts';
import { waitFor } from '../process/wait.ts';
import { silentReporter } from '../progress/reporter.ts';

/**
 * Test support: the machine controller against a real API server with garbage collection. KubeVirt's
 * controllers are those of the stand-in; what a kubelet would say of the pods is written by `#playKubelet`.
 */
export class MachineCluster implements AsyncDisposable {
  readonly client: ApiClient;
  readonly signal: AbortSignal;
  readonly events: { readonly name: string; readonly reason: string; readonly note: string }[] = [];
  /** Boot images whose pods cannot pull them. */
  readonly brokenImages = new Set<string>();
  /** Bounds on restarts; a test may set them for its time. */
  readonly limits = { cluster: 0, namespace: 0, node: 0 };
  readonly metrics = new Metrics({ version: 'test', process: false });
  /** Of the present test. */
  namespace = '';
  reconciled = 0;
  readonly #plane: ControlPlane;
  readonly #stop = new AbortController();
  readonly #running: Promise<unknown>[] = [];
  #namespaces = 0;

  private constructor(plane: ControlPlane, signal: AbortSignal) {
    this.#plane = plane;
    this.signal = signal;
    this.client = new ApiClient(ClusterAccess.load({ file: plane.kubeconfig }));
  }

  /** Without KubeVirt, until `installKubeVirt`. */
  static async start(signal: AbortSignal): Promise<MachineCluster> {
    const plane = await ControlPlane.start(silentReporter, signal, { controllers: true });
    const cluster = new MachineCluster(plane, signal);
    try {
      await installCrds(cluster.client, signal);
      cluster.#runController();
      return cluster;
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  }

  #runController(): void {
    const caches = machineCaches(this.client, { logger: SILENT_LOGGER });
    const controller = machineController({
      client: this.client,
      caches,
      recorder: {
        record: (regarding, { reason, note }) =>
          this.events.push({ name: regarding.metadata.name, reason, note }),
      },
      logger: SILENT_LOGGER,
      metrics: {
        ...NO_METRICS,
        controller: () => ({ ...NO_METRICS.controller(''), reconciled: () => void (this.reconciled += 1) }),
      },
      machineMetrics: this.metrics.machines,
      render: { bootRegistryHost: '127.0.0.1:30500' },
      ledger: new RestartLedger(this.limits, () => caches.machines.list()),
    });
    const { signal } = this.#stop;
    this.#running.push(...Object.values(caches).map((cache) => cache.run(signal)), controller.run(signal));
  }

  /** Returns whether the CRDs are a small form of our own, which knows less than KubeVirt's. */
  async installKubeVirt(): Promise<boolean> {
    const { documents, own } = await kubeVirtCrds();
    for (const document of documents) await applyCrd(this.client, document, this.signal);
    this.#running.push(this.#playKubeVirt());
    return own;
  }

  async newNamespace(): Promise<void> {
    this.#namespaces += 1;
    this.namespace = `test-${this.#namespaces}`;
    const object = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: this.namespace } };
    await this.client.create(NAMESPACES, object, { signal: this.signal });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await Promise.allSettled(this.#running);
    await this.client.access[Symbol.asyncDispose]();
    await this.#plane.stop();
  }

  async writeImage(artifact: Artifact | undefined, name = 'web'): Promise<void> {
    const { namespace, client, signal } = this;
    const head = {
      apiVersion: 'linuxkit.dev/v1alpha1',
      kind: 'LinuxKitImage',
      metadata: { name, namespace },
    };
    const options = { signal, fieldManager: 'test' };
    // The API server fills in what is left out here.
    const image = { ...head, spec: { config: { kernel: { image: 'kernel' } } } } as unknown as ImageObject;
    await client.apply(IMAGES, image, options);
    if (artifact !== undefined) await client.applyStatus(IMAGES, { ...head, status: { artifact } }, options);
  }

  async writeMachine(spec: Readonly<Record<string, unknown>> = {}, name = 'web'): Promise<void> {
    const machine = {
      apiVersion: 'linuxkit.dev/v1alpha1',
      kind: 'LinuxKitMachine',
      metadata: { name, namespace: this.namespace },
      spec: { imageRef: { name: 'web' }, memory: '512Mi', ...spec },
    };
    await this.client.apply(MACHINES, machine, { signal: this.signal, fieldManager: 'test' });
  }

  async readMachine(name = 'web'): Promise<LinuxKitMachine> {
    const { namespace, client, signal } = this;
    return parseMachine(await client.get(MACHINES, { namespace, name }, { signal }));
  }

  async until<T>(what: string, probe: () => Promise<T | undefined | false> | T | false): Promise<T> {
    return await waitFor(what, probe, { signal: this.signal, timeout: 90_000 });
  }

  async untilReady(reason: string, digest?: string, name = 'web'): Promise<MachineStatus> {
    return await this.until(`machine ${name} to be ${reason}`, async () => {
      const { status, metadata } = await this.readMachine(name);
      const ready = status?.conditions?.find((condition) => condition.type === 'Ready');
      const current =
        status?.observedGeneration === metadata.generation &&
        ready?.observedGeneration === metadata.generation;
      if (!current || ready.reason !== reason || (digest !== undefined && status.targetDigest !== digest))
        throw new Error(JSON.stringify(status));
      return status;
    });
  }

  async instances(): Promise<readonly VirtualMachineInstance[]> {
    const { namespace, client, signal } = this;
    return (await client.list(VIRTUAL_MACHINE_INSTANCES, { namespace, signal })).items;
  }

  async instanceUids(): Promise<ReadonlyMap<string, string | undefined>> {
    return new Map((await this.instances()).map((vmi) => [vmi.metadata.name, vmi.metadata.uid]));
  }

  /** Reasons of the events of a machine. */
  told(name = 'web'): readonly string[] {
    return this.events.filter((event) => event.name === name).map((event) => event.reason);
  }

  /** Waits until that was told of a machine: events come after the status that they tell of. */
  async untilTold(reason: string, name = 'web'): Promise<void> {
    await this.until(`${reason} to be told`, () => this.told(name).includes(reason));
  }

  /** Pods run, and are ready at once, unless their boot image is said to be broken. */
  async #playKubelet(): Promise<void> {
    const { signal } = this;
    const { items } = await this.client.list(PODS, { signal, labelSelector: 'kubevirt.io=virt-launcher' });
    for (const pod of items) {
      if (pod.metadata.deletionTimestamp !== undefined || pod.status?.phase === 'Running') continue;
      const image =
        pod.spec?.volumes?.find((volume) => volume.name === 'kernel-boot-volume')?.image?.reference ?? '';
      const broken = [...this.brokenImages].some((digest) => image.endsWith(digest));
      const state = broken
        ? { waiting: { reason: 'ImagePullBackOff', message: `Back-off pulling image "${image}"` } }
        : { running: { startedAt: new Date().toISOString() } };
      const status = {
        phase: broken ? 'Pending' : 'Running',
        podIP: '10.244.0.7',
        conditions: [{ type: 'Ready', status: broken ? 'False' : 'True' }],
        containerStatuses: [
          {
            name: 'compute',
            ready: !broken,
            restartCount: 0,
            image: 'launcher',
            imageID: '',
            started: !broken,
            state,
          },
        ],
      };
      const key = { namespace: pod.metadata.namespace ?? '', name: pod.metadata.name };
      await this.client.patch<Pod>(PODS, key, { status }, { signal, subresource: 'status' }).catch(gone);
    }
  }

  async #playKubeVirt(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await reconcileAll(this.client, 'launcher', new Date(), this.signal).catch(gone);
      await this.#playKubelet();
      await pause(50);
    }
  }
}

function gone(error: unknown): void {
  if (
    !(error instanceof Error && 'code' in error && (error.code === 'NotFound' || error.code === 'Conflict'))
  )
    throw error;
}

export function isReady({ metadata, status }: VirtualMachineInstance): boolean {
  return (
    metadata.deletionTimestamp === undefined &&
    status?.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True') ===
      true
  );
}
