import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { removeCgroups } from '../process/cgroups.ts';
import { Component } from '../process/component.ts';
import { isRunning, type ProcessIdentity } from '../process/identity.ts';
import { run } from '../process/run.ts';
import { Failure } from '../progress/failure.ts';
import type { Reporter } from '../progress/reporter.ts';
import { ensurePackages } from '../tools/packages.ts';
import { ensureTools } from '../tools/tools.ts';
import { bootNode } from './boot.ts';
import { commandLines, type NodeComponent, nodeTools } from './components.ts';
import { type InstanceState, instanceCgroup, instanceFolder, readState, writeState } from './instance.ts';
import { leftovers } from './leftovers.ts';
import { type ClusterNetwork, linkNode, unlinkNode } from './network.ts';
import { createCertificates } from './node-certificates.ts';
import { createCgroup } from './node-cgroup.ts';
import { containerdSocket, type NodeSettings } from './node-config.ts';
import { createNamespaces, destroyNamespaces, runInside, startInside } from './node-namespace.ts';
import { pauseImage } from './pause-image.ts';
import { waitForApiServer } from './readiness.ts';

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
   * A registry over plain HTTP that is part of the node: its name from this machine and
   * from pods, and its name for the node's containerd, for images of pods. Pods also
   * know it as registry.test:5000.
   */
  readonly registry: { readonly host: string; readonly nodeHost: string };
  /** This machine as pods reach it; they also know it as host.test. */
  readonly hostAddress: string;

  readonly #init: ProcessIdentity;
  #state: InstanceState;
  #saved: Promise<void> = Promise.resolve();

  private constructor(state: InstanceState, init: ProcessIdentity, network: ClusterNetwork) {
    this.name = state.name;
    this.dir = instanceFolder(state.name);
    this.kubeconfig = join(this.dir, 'kubeconfig');
    this.nodeName = state.name;
    this.network = network;
    this.server = `https://${network.nodeAddress}:6443`;
    this.registry = { host: `${network.nodeAddress}:5000`, nodeHost: '127.0.0.1:5000' };
    this.hostAddress = network.hostAddress;
    this.#init = init;
    this.#state = state;
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
    const folder = instanceFolder(name);
    if ((await LocalCluster.attach(name)) !== undefined) {
      throw new Failure('NameTaken', `a local cluster named ${name} is running already`, {
        advice: 'stop it, or attach to it',
      });
    }
    await ensurePackages(['openssl', 'iproute2', 'iptables'], reporter, signal);
    const tools = await ensureTools(nodeTools, reporter, signal);
    return await reporter.step(`start local cluster ${name}`, async (step) => {
      step.detail('namespaces');
      await removeInstance(name, signal);
      try {
        await mkdir(folder, { recursive: true, mode: 0o700 });
        let state: InstanceState | undefined;
        const processes = await createNamespaces(
          folder,
          name,
          async (keeper) => {
            state = { name, keeper, init: undefined, network: undefined, components: {}, complete: false };
            await writeState(state);
          },
          signal,
        );
        const network = await linkNode(processes.init.pid, name, signal);
        await createCgroup(instanceCgroup(name));
        const cluster = new LocalCluster(
          { name, ...processes, network, components: {}, complete: false },
          processes.init,
          network,
        );
        await writeState(cluster.#state);
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
        await bootNode(
          {
            settings,
            tools,
            certificates,
            server: cluster.server,
            start: async (component) =>
              await cluster.#run(component, commandLines(settings, certificates, tools)[component], signal),
            loadImage: async (reference, archive) => {
              await cluster.#load(tools.ctr, reference, archive, signal);
            },
          },
          step,
          signal,
        );
        await cluster.#save({ complete: true });
        return cluster;
      } catch (error) {
        // Its own deadline: a start that was aborted must be undone all the same.
        await removeInstance(name, AbortSignal.timeout(90_000));
        throw error;
      }
    });
  }

  /** Finds a running instance; undefined when none of this name runs or it never became ready. */
  static async attach(name: string): Promise<LocalCluster | undefined> {
    const state = await readState(name);
    if (state?.init === undefined || state.network === undefined || !state.complete) return undefined;
    if (!isRunning(state.init) || !isRunning(state.keeper)) return undefined;
    return new LocalCluster(state, state.init, state.network);
  }

  /** Stops the instance `name`, running or not, wholly or partly there. */
  static async remove(name: string, signal: AbortSignal = AbortSignal.timeout(120_000)): Promise<void> {
    await removeInstance(name, signal);
  }

  /**
   * Ends everything of the instance and removes its folder.
   * @throws Failure `Leftovers` naming what could not be removed.
   */
  async stop(signal: AbortSignal = AbortSignal.timeout(120_000)): Promise<void> {
    await removeInstance(this.name, signal);
  }

  /** @throws Failure `ComponentExited` with the end of its log for the first component that has exited. */
  assertRunning(): void {
    for (const name of Object.keys(this.#state.components))
      this.#component(name as NodeComponent).assertRunning();
  }

  /**
   * Imports an image archive (OCI layout or `docker save`) into the node.
   * @throws Failure `CommandFailed` when the archive has no image named exactly `reference`.
   */
  async loadImage(reference: string, archive: string, signal: AbortSignal): Promise<void> {
    const { ctr } = await ensureTools(
      ['ctr'],
      { step: async (_name, work) => await work(quiet), note: () => undefined },
      signal,
    );
    await this.#load(ctr, reference, archive, signal);
  }

  /** Runs a command inside the node's namespaces and returns its output. */
  async runInside(
    command: string,
    args: readonly string[],
    options: { readonly signal: AbortSignal; readonly timeout?: number; readonly input?: string },
  ): Promise<string> {
    return await runInside(this.#init, command, args, options);
  }

  /** The last lines of a component's log. */
  logTail(component: NodeComponent, lines = 40): string {
    return this.#component(component).logTail(lines);
  }

  /** Kills a component without warning, as a crash would; returns when it is gone. */
  async killComponent(component: NodeComponent, signal: AbortSignal): Promise<void> {
    const running = this.#component(component);
    if (running.kill('SIGKILL')) await running.waitForExit(signal, 20_000);
  }

  /** Starts a killed component again. It returns when the process runs, not when it is ready. */
  async startComponent(component: NodeComponent, signal: AbortSignal): Promise<void> {
    const known = this.#state.components[component];
    if (known === undefined) throw new Failure('NotRunning', `${component} is no part of ${this.name}`);
    await this.#run(component, known, signal);
  }

  /** Kills the API server, starts it again and returns when it is ready. */
  async restartApiServer(signal: AbortSignal): Promise<void> {
    await this.killComponent('kube-apiserver', signal);
    await this.startComponent('kube-apiserver', signal);
    const pki = (file: string): string => join(this.dir, 'pki', file);
    await waitForApiServer(
      this.server,
      pki('ca.crt'),
      { certificate: pki('admin.crt'), key: pki('admin.key') },
      [this.#component('kube-apiserver'), this.#component('etcd')],
      signal,
    );
  }

  #component(name: NodeComponent): Component {
    const known = this.#state.components[name];
    if (known === undefined) throw new Failure('NotRunning', `${name} is no part of ${this.name}`);
    return new Component(known.record);
  }

  async #run(
    name: NodeComponent,
    line: { readonly command: string; readonly args: readonly string[] },
    signal: AbortSignal,
  ): Promise<Component> {
    const component = await startInside(
      this.#init,
      { name, command: line.command, args: line.args, logFile: join(this.dir, 'logs', `${name}.log`) },
      signal,
    );
    const { command, args } = line;
    const components = { ...this.#state.components, [name]: { command, args, record: component.record } };
    await this.#save({ components });
    return component;
  }

  /** Components start side by side: each write waits for the one before, and writes what is then known. */
  async #save(change: Partial<InstanceState>): Promise<void> {
    this.#state = { ...this.#state, ...change };
    this.#saved = this.#saved.then(async () => {
      await writeState(this.#state);
    });
    await this.#saved;
  }

  async #load(ctr: string, reference: string, archive: string, signal: AbortSignal): Promise<void> {
    const base = ['--address', containerdSocket(this.dir), '--namespace', 'k8s.io', 'images'];
    await run(ctr, [...base, 'import', archive], { signal, timeout: 600_000 });
    const listing = await run(ctr, [...base, 'list', '--quiet', `name==${reference}`], { signal });
    if (listing.trim() !== reference) {
      const all = await run(ctr, [...base, 'list', '--quiet'], { signal });
      throw new Failure('CommandFailed', `${archive} does not hold an image named ${reference}`, {
        log: all.trim(),
        advice: 'name the image in full: host, repository and tag',
      });
    }
  }
}

const quiet = { detail: () => undefined, progress: () => undefined };

async function removeInstance(name: string, signal: AbortSignal): Promise<void> {
  const state = await readState(name);
  if (state !== undefined) {
    await destroyNamespaces(state.keeper, state.init, signal);
    if (state.network !== undefined) await unlinkNode(state.network, name, signal);
  }
  await removeCgroups(instanceCgroup(name), signal);
  await rm(instanceFolder(name), { recursive: true, force: true });
  const left = await leftovers(name, signal);
  if (left.length > 0) {
    throw new Failure('Leftovers', `local cluster ${name} is not wholly stopped`, {
      log: left.join('\n'),
      advice: 'end these by hand',
    });
  }
}
