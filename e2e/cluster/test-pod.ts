import { join } from 'node:path';
import {
  BatchV1Api,
  CoreV1Api,
  KubeConfig,
  type V1Job,
  type V1PodSecurityContext,
  type V1PodSpec,
  type V1SecurityContext,
} from '@kubernetes/client-node';
import { type Entry, file, program, symlink } from '../images/entry.ts';
import { OciLayout } from '../images/oci-layout.ts';
import { pushImage } from '../images/oci-push.ts';
import { writeImage } from '../images/oci-writer.ts';
import { waitFor } from '../process/wait.ts';
import { Failure } from '../progress/failure.ts';
import type { LocalCluster } from './local-cluster.ts';

/** What the restricted Pod Security level asks of a container. */
export const restricted = {
  pod: { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: 'RuntimeDefault' } },
  container: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
} satisfies { readonly pod: V1PodSecurityContext; readonly container: V1SecurityContext };

/** Pushes an image with one busybox and returns the name that the node's containerd pulls it by. */
export async function pushBusybox(cluster: LocalCluster, signal: AbortSignal): Promise<string> {
  return await pushFiles(
    cluster,
    'busybox',
    [program('bin/busybox', { disk: '/bin/busybox' }), symlink('bin/sh', 'busybox')],
    signal,
  );
}

/** Pushes an image that holds one text file. */
export async function pushText(
  cluster: LocalCluster,
  repository: string,
  path: string,
  text: string,
  signal: AbortSignal,
): Promise<string> {
  return await pushFiles(cluster, repository, [file(path, text)], signal);
}

async function pushFiles(
  cluster: LocalCluster,
  repository: string,
  entries: readonly Entry[],
  signal: AbortSignal,
): Promise<string> {
  const image = await writeImage(new OciLayout(join(cluster.dir, 'test-images')), {
    layers: [{ entries }],
    config: { Cmd: ['/bin/sh'], Env: ['PATH=/bin'] },
  });
  await pushImage(image, { registry: cluster.registry.host, repository, tag: '1' }, signal);
  // By the name under which the node knows a registry of its own: containerd takes plain HTTP there untold.
  return `127.0.0.1:5000/${repository}:1`;
}

/** Runs pods to their end and reads what they printed. */
export class PodRunner {
  readonly core: CoreV1Api;
  readonly #batch: BatchV1Api;
  readonly #signal: AbortSignal;

  constructor(kubeconfig: string, signal: AbortSignal) {
    const config = new KubeConfig();
    config.loadFromFile(kubeconfig);
    this.core = config.makeApiClient(CoreV1Api);
    this.#batch = config.makeApiClient(BatchV1Api);
    this.#signal = signal;
  }

  /**
   * Creates a Job of one attempt, waits for its end, and returns the pod's output.
   * @throws Failure `CommandFailed` with that output, or the pod's status, when it fails.
   */
  async run(namespace: string, name: string, spec: V1PodSpec): Promise<string> {
    const body: V1Job = {
      metadata: { name },
      spec: { backoffLimit: 0, template: { spec } },
    };
    await this.#batch.createNamespacedJob({ namespace, body });
    const ended = await waitFor(
      `job ${name}`,
      async () => {
        const job = await this.#batch.readNamespacedJob({ namespace, name });
        const condition = job.status?.conditions?.find(
          (each) => (each.type === 'Complete' || each.type === 'Failed') && each.status === 'True',
        );
        if (condition !== undefined) return condition;
        throw new Error(await this.#describe(namespace, name));
      },
      { signal: this.#signal, timeout: 90_000, interval: 200 },
    );
    const pod = await this.#podOf(namespace, name);
    const output = pod === undefined ? '' : await this.core.readNamespacedPodLog({ namespace, name: pod });
    if (ended.type === 'Failed') {
      throw new Failure('CommandFailed', `job ${name}: ${ended.message ?? ''}`, {
        log: `${output}\n${await this.#describe(namespace, name)}`,
      });
    }
    return output;
  }

  /** Creates a pod and waits until it is Ready; returns its address. */
  async serve(
    namespace: string,
    name: string,
    labels: Record<string, string>,
    spec: V1PodSpec,
  ): Promise<string> {
    await this.core.createNamespacedPod({ namespace, body: { metadata: { name, labels }, spec } });
    return await waitFor(
      `pod ${name}`,
      async () => {
        const { status } = await this.core.readNamespacedPod({ namespace, name });
        const ready = status?.conditions?.some((each) => each.type === 'Ready' && each.status === 'True');
        if (ready === true) return status?.podIP;
        throw new Error(JSON.stringify(status));
      },
      { signal: this.#signal, timeout: 60_000, interval: 200 },
    );
  }

  async #podOf(namespace: string, job: string): Promise<string | undefined> {
    const pods = await this.core.listNamespacedPod({ namespace, labelSelector: `job-name=${job}` });
    return pods.items[0]?.metadata?.name;
  }

  async #describe(namespace: string, job: string): Promise<string> {
    const pods = await this.core.listNamespacedPod({ namespace, labelSelector: `job-name=${job}` });
    const events = await this.core.listNamespacedEvent({ namespace });
    return [
      ...pods.items.map((pod) => JSON.stringify(pod.status)),
      ...events.items.slice(-10).map((event) => `${event.reason}: ${event.message}`),
    ].join('\n');
  }
}
