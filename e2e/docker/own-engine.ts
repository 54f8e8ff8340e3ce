import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { clusterAddresses } from '../cluster/network.ts';
import { removeCgroups } from '../process/cgroups.ts';
import { Component, type ComponentRecord } from '../process/component.ts';
import { mountPointsBelow } from '../process/mounts.ts';
import { run } from '../process/run.ts';
import { waitFor } from '../process/wait.ts';
import { Failure } from '../progress/failure.ts';
import { type DockerHost, whyUnreachable } from './ping.ts';

/** What an engine calls its own on this machine. */
export interface EngineNames {
  readonly bridge: string;
  /** The bridge's address with the length of its prefix. */
  readonly address: string;
  readonly cgroup: string;
}

/** Those of the engine that tests and demo share. */
export const sharedEngine: EngineNames = {
  bridge: 'lko-docker',
  address: '10.217.255.1/24',
  cgroup: 'linuxkit-operator-docker',
};

/**
 * A dockerd with folders, socket, bridge and control group of its own. It writes no
 * firewall rules: published ports are served by its userland proxy, and containers do
 * not need the outside world. So stopping it leaves nothing to undo but the bridge.
 */
export class OwnEngine {
  readonly folder: string;
  readonly host: DockerHost;

  readonly #names: EngineNames;

  constructor(folder: string, names: EngineNames = sharedEngine) {
    this.folder = folder;
    this.#names = names;
    this.host = `unix://${join(folder, 'docker.sock')}`;
  }

  /** @throws Failure `EngineUnavailable` with the end of dockerd's log. */
  async start(signal: AbortSignal): Promise<void> {
    const { bridge, address, cgroup } = this.#names;
    await this.stop(signal);
    await mkdir(this.folder, { recursive: true });
    await rm(this.#path('dockerd.log'), { force: true });
    await run('ip', ['link', 'add', bridge, 'type', 'bridge'], { signal });
    await run('ip', ['address', 'add', address, 'dev', bridge], { signal });
    await run('ip', ['link', 'set', bridge, 'up'], { signal });
    const component = await Component.start({
      name: 'dockerd',
      command: 'dockerd',
      args: [
        `--host=${this.host}`,
        `--data-root=${this.#path('data')}`,
        `--exec-root=${this.#path('exec')}`,
        `--pidfile=${this.#path('dockerd.pid')}`,
        `--bridge=${bridge}`,
        `--cgroup-parent=/${cgroup}`,
        '--iptables=false',
        '--ip6tables=false',
        '--ip-forward=false',
        '--ip-masq=false',
        '--userland-proxy=true',
        // Registries of local clusters have no TLS.
        `--insecure-registry=${clusterAddresses}`,
      ],
      logFile: this.#path('dockerd.log'),
      survives: true,
    });
    await writeFile(this.#path('dockerd.json'), JSON.stringify(component.record));
    try {
      await waitFor(
        'dockerd',
        async () => {
          const reason = await whyUnreachable(this.host, signal);
          if (reason !== undefined) throw new Error(reason);
          return true;
        },
        { signal, timeout: 60_000, watched: [component] },
      );
    } catch (cause) {
      const log = component.logTail();
      await this.stop(AbortSignal.timeout(60_000));
      throw new Failure('EngineUnavailable', 'dockerd did not start', {
        cause,
        log,
        advice: 'read the lines above, or name a working engine in DOCKER_HOST',
      });
    }
  }

  /** Ends dockerd and its containers, and removes what the kernel keeps of them. */
  async stop(signal: AbortSignal): Promise<void> {
    const { bridge, cgroup } = this.#names;
    const record = await this.#record();
    if (record !== undefined) {
      const component = new Component(record);
      if (component.isRunning()) {
        await this.#removeContainers(signal);
        await component.stop(signal, 30_000);
      }
    }
    // After a dockerd that was killed, its mounts and network namespaces are still there.
    for (const point of await mountPointsBelow(this.folder))
      await run('umount', ['--lazy', point], { signal });
    await run('sh', ['-c', `! ip link show ${bridge} >/dev/null 2>&1 || ip link delete ${bridge}`], {
      signal,
    });
    await removeCgroups(cgroup, signal);
    for (const each of ['exec', 'docker.sock', 'dockerd.pid', 'dockerd.json']) {
      await rm(this.#path(each), { recursive: true, force: true });
    }
  }

  async #removeContainers(signal: AbortSignal): Promise<void> {
    const env = { DOCKER_HOST: this.host };
    const listing = await run('docker', ['ps', '--all', '--quiet'], { signal, env }).catch(() => '');
    const containers = listing.split('\n').filter((id) => id !== '');
    if (containers.length === 0) return;
    // A container that is being removed already is no reason to leave the engine running.
    await run('docker', ['rm', '--force', '--volumes', ...containers], { signal, env }).catch(
      () => undefined,
    );
  }

  async #record(): Promise<ComponentRecord | undefined> {
    try {
      return JSON.parse(await readFile(this.#path('dockerd.json'), 'utf8')) as ComponentRecord;
    } catch {
      return undefined;
    }
  }

  #path(name: string): string {
    return join(this.folder, name);
  }
}
