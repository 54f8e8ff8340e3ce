import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isRunning, type ProcessIdentity } from '../process/identity.ts';
import { withLock } from '../process/lock.ts';
import { Failure } from '../progress/failure.ts';
import { type Reporter, type Step, silentReporter } from '../progress/reporter.ts';
import { ensurePackages } from '../tools/packages.ts';
import { ensureTools } from '../tools/tools.ts';
import { bootNode } from './boot.ts';
import { commandLines, NODE_PACKAGES, type NodeComponent, type NodeTools, nodeTools } from './components.ts';
import { instanceCgroup, instanceFolder, instanceLock, readState, writeState } from './instance.ts';
import { ensureKernelFeatures } from './kernel.ts';
import { type ClusterNetwork, linkNode } from './network.ts';
import { createCertificates } from './node-certificates.ts';
import { createCgroup } from './node-cgroup.ts';
import { NodeComponents } from './node-components.ts';
import type { NodeSettings } from './node-config.ts';
import { importImage } from './node-images.ts';
import { createNamespaces, runInside } from './node-namespace.ts';
import { pauseImage } from './pause-image.ts';
import { waitForApiServer } from './readiness.ts';
import { removeInstance } from './removal.ts';

/** What a local cluster is started with. */
export interface LocalClusterOptions {
  /** Names its folder, node and control group; lower-case letters, digits and hyphens. */
  readonly name: string;
}

/**
 * A real Kubernetes of one node in namespaces of its own, beside others on the same
 * machine. It outlives the process that started it, until `stop`.
 */
export class LocalCluster {
  readonly name: string;
  /** Everything of the instance: data, certificates, logs, kubeconfig. */
  readonly dir: string;
  /** Path of an administrator's kubeconfig, good on this machine and inside the node. */
  readonly kubeconfig: string;
  readonly nodeName: string;
  readonly network: ClusterNetwork;
  /** `https://ADDRESS:6443`, the same from this machine, node and pods. */
  readonly server: string;
  /**
   * A registry over plain HTTP that is part of the node. Its address is good on this machine, in
   * pods and for images of pods; pods also know it as registry.test:5000.
   */
  readonly registry: { readonly host: string };
  /** This machine as pods reach it; they also know it as host.test. */
  readonly hostAddress: string;

  /** The processes of the node, to be killed, restarted and asked for their logs. */
  readonly components: NodeComponents;

  readonly #init: ProcessIdentity;

  private constructor(name: string, init: ProcessIdentity, network: ClusterNetwork) {
    this.name = name;
    this.dir = instanceFolder(name);
    this.kubeconfig = join(this.dir, 'kubeconfig');
    this.nodeName = name;
    this.network = network;
    this.server = `https://${network.nodeAddress}:6443`;
    this.registry = { host: `${network.nodeAddress}:5000` };
    this.hostAddress = network.hostAddress;
    this.#init = init;
    this.components = new NodeComponents(name, init);
  }

  /**
   * Starts a cluster and returns when its node is Ready and names resolve. What a killed
   * predecessor of the same name left behind is removed first.
   * @throws Failure `NameTaken` when an instance of this name runs, else what failed, with its log.
   */
  static async start(
    options: LocalClusterOptions,
    reporter: Reporter,
    signal: AbortSignal,
  ): Promise<LocalCluster> {
    const { name } = options;
    await refuseRunning(name);
    await ensurePackages(NODE_PACKAGES, reporter, signal);
    await ensureKernelFeatures(signal);
    const tools = await ensureTools(nodeTools, reporter, signal);
    return await reporter.step(
      `start local cluster ${name}`,
      async (step) =>
        await withLock(instanceLock(name), signal, async () => {
          // Another start of this name may have held the lock until now.
          await refuseRunning(name);
          await removeInstance(name, signal);
          try {
            return await LocalCluster.#create(name, tools, step, signal);
          } catch (error) {
            // Its own deadline: a start that was aborted must be undone all the same.
            await removeInstance(name, AbortSignal.timeout(90_000));
            throw error;
          }
        }),
    );
  }

  static async #create(
    name: string,
    tools: NodeTools,
    step: Step,
    signal: AbortSignal,
  ): Promise<LocalCluster> {
    const folder = instanceFolder(name);
    step.detail('namespaces');
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const nothing = { name, init: undefined, network: undefined, components: {}, complete: false };
    const processes = await createNamespaces(
      folder,
      name,
      async (keeper) => {
        await writeState({ ...nothing, keeper });
      },
      signal,
    );
    const network = await linkNode(processes.init.pid, name, signal);
    await createCgroup(instanceCgroup(name));
    await writeState({ ...nothing, ...processes, network });
    const cluster = new LocalCluster(name, processes.init, network);

    step.detail('certificates');
    const certificates = await createCertificates(folder, name, network, signal);
    const settings: NodeSettings = {
      folder,
      nodeName: name,
      cgroup: instanceCgroup(name),
      network,
      runc: tools.runc,
      shim: tools['containerd-shim-runc-v2'],
      cniFolder: dirname(tools.bridge),
      pauseImage,
      authority: certificates.authority.certificate,
      kubeletServing: certificates.kubeletServing,
    };
    const lines = commandLines(settings, certificates, tools);
    const boot = {
      settings,
      tools,
      certificates,
      server: cluster.server,
      start: async (component: NodeComponent) =>
        await cluster.components.start(component, lines[component], signal),
      loadImage: async (reference: string, archive: string) => {
        await importImage(tools.ctr, folder, reference, archive, signal);
      },
    };
    await bootNode(boot, step, signal);
    await cluster.components.complete();
    return cluster;
  }

  /** Finds a running instance; undefined when none of this name runs or it never became ready. */
  static async attach(name: string): Promise<LocalCluster | undefined> {
    const state = await readState(name);
    if (state?.init === undefined || state.network === undefined || !state.complete) return undefined;
    if (!isRunning(state.init) || !isRunning(state.keeper)) return undefined;
    return new LocalCluster(name, state.init, state.network);
  }

  /** Stops the instance `name`, running or not, wholly or partly there. */
  static async remove(name: string, signal: AbortSignal = AbortSignal.timeout(120_000)): Promise<void> {
    await withLock(instanceLock(name), signal, async () => {
      await removeInstance(name, signal);
    });
  }

  /**
   * Ends everything of the instance and removes its folder.
   * @throws Failure `Leftovers` naming what could not be removed.
   */
  async stop(signal: AbortSignal = AbortSignal.timeout(120_000)): Promise<void> {
    await LocalCluster.remove(this.name, signal);
  }

  /**
   * Imports an image archive (OCI layout or `docker save`) into the node.
   * @throws Failure `CommandFailed` when the archive has no image named exactly `reference`.
   */
  async loadImage(reference: string, archive: string, signal: AbortSignal): Promise<void> {
    const { ctr } = await ensureTools(['ctr'], silentReporter, signal);
    await importImage(ctr, this.dir, reference, archive, signal);
  }

  /** Runs a command inside the node's namespaces and returns its output. */
  async runInside(
    command: string,
    args: readonly string[],
    options: { readonly signal: AbortSignal; readonly timeout?: number; readonly input?: string },
  ): Promise<string> {
    return await runInside(this.#init, command, args, options);
  }

  /** Kills the API server, starts it again and returns when it is ready. */
  async restartApiServer(signal: AbortSignal): Promise<void> {
    await this.components.kill('kube-apiserver', signal);
    const apiServer = await this.components.restart('kube-apiserver', signal);
    const pki = (file: string): string => join(this.dir, 'pki', file);
    await waitForApiServer(
      this.server,
      pki('ca.crt'),
      { certificate: pki('admin.crt'), key: pki('admin.key') },
      [apiServer],
      signal,
    );
  }
}

async function refuseRunning(name: string): Promise<void> {
  if ((await LocalCluster.attach(name)) === undefined) return;
  throw new Failure('NameTaken', `a local cluster named ${name} is running already`, {
    advice: 'stop it, or attach to it',
  });
}
