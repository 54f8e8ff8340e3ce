import { join } from 'node:path';
import { Component } from '../process/component.ts';
import type { ProcessIdentity } from '../process/identity.ts';
import { Failure } from '../progress/failure.ts';
import type { CommandLine, NodeComponent } from './components.ts';
import {
  type InstanceState,
  instanceFolder,
  type NodeComponentState,
  readState,
  writeState,
} from './instance.ts';
import { startInside } from './node-namespace.ts';

/** The long-running processes of one node, and the notes about them. */
export class NodeComponents {
  readonly #cluster: string;
  readonly #init: ProcessIdentity;
  #changes: Promise<void> = Promise.resolve();

  constructor(cluster: string, init: ProcessIdentity) {
    this.#cluster = cluster;
    this.#init = init;
  }

  /** Starts a component and writes down how to find it and start it again. */
  async start(name: NodeComponent, line: CommandLine, signal: AbortSignal): Promise<Component> {
    const { command, args } = line;
    const logFile = join(instanceFolder(this.#cluster), 'logs', `${name}.log`);
    const component = await startInside(this.#init, { name, command, args, logFile }, signal);
    await this.#change((state) => ({
      ...state,
      components: { ...state.components, [name]: { command, args, record: component.record } },
    }));
    return component;
  }

  /** Kills a component without warning, as a crash would; returns when it is gone. */
  async kill(name: NodeComponent, signal: AbortSignal): Promise<void> {
    const running = new Component((await this.#known(name)).record);
    if (running.kill('SIGKILL')) await running.waitForExit(signal, 20_000);
  }

  /** Starts a killed component again. It returns when the process runs, not when it is ready. */
  async restart(name: NodeComponent, signal: AbortSignal): Promise<Component> {
    return await this.start(name, await this.#known(name), signal);
  }

  /** The last lines of a component's log. */
  async logTail(name: NodeComponent, lines = 40): Promise<string> {
    return new Component((await this.#known(name)).record).logTail(lines);
  }

  /** @throws Failure `ComponentExited` with the end of its log for the first component that has exited. */
  async assertRunning(): Promise<void> {
    const { components } = await this.#read();
    for (const { record } of Object.values(components)) new Component(record).assertRunning();
  }

  /** Writes down that the node was ready, so that others may attach to it. */
  async complete(): Promise<void> {
    await this.#change((state) => ({ ...state, complete: true }));
  }

  async #known(name: NodeComponent): Promise<NodeComponentState> {
    const known = (await this.#read()).components[name];
    if (known === undefined) throw new Failure('NotRunning', `${name} is no part of ${this.#cluster}`);
    return known;
  }

  /** What is written down is the truth: another process may have restarted a component since. */
  async #read(): Promise<InstanceState> {
    const state = await readState(this.#cluster);
    if (state === undefined) throw new Failure('NotRunning', `local cluster ${this.#cluster} is not running`);
    return state;
  }

  /** Components start side by side: each change waits for the one before it. */
  async #change(change: (state: InstanceState) => InstanceState): Promise<void> {
    this.#changes = this.#changes.then(async () => {
      await writeState(change(await this.#read()));
    });
    await this.#changes;
  }
}
