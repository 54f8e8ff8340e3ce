import { mkdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Component } from '../process/component.ts';
import type { Reporter } from '../progress/reporter.ts';
import { ensurePackages } from '../tools/packages.ts';
import { ensureTools } from '../tools/tools.ts';
import {
  CertificateAuthority,
  type CertificateFiles,
  createTokenKeys,
  writeKubeconfig,
} from './certificates.ts';
import {
  type ApiServerSettings,
  apiServerFlags,
  controllerManagerFlags,
  etcdFlags,
} from './control-plane-flags.ts';
import { createOwnedFolder } from './owned-folder.ts';
import { findFreePort } from './ports.ts';
import { waitForApiServer } from './readiness.ts';

/** What a control plane is started with. */
export interface ControlPlaneOptions {
  /**
   * Also run kube-controller-manager: namespaces are then really deleted, owners'
   * dependents collected, Jobs given pods (which nothing runs). Default false.
   */
  readonly controllers?: boolean;
}

/**
 * etcd and kube-apiserver alone, on 127.0.0.1, for tests of controllers: no node, no
 * scheduler, and without `controllers` no garbage collection either. It lives no longer
 * than the process that started it.
 */
export class ControlPlane {
  /** Path of an administrator's kubeconfig. */
  readonly kubeconfig: string;
  /** Address of the API server, `https://127.0.0.1:PORT`. */
  readonly server: string;
  /** The folder with data, certificates and logs; removed by `stop`. */
  readonly dir: string;

  readonly #programs: Readonly<Record<'etcd' | 'kube-apiserver' | 'kube-controller-manager', string>>;
  readonly #settings: ApiServerSettings;
  readonly #admin: CertificateFiles;
  #etcd: Component | undefined;
  #apiServer: Component | undefined;
  #controllerManager: Component | undefined;

  private constructor(
    dir: string,
    programs: Readonly<Record<'etcd' | 'kube-apiserver' | 'kube-controller-manager', string>>,
    settings: ApiServerSettings,
    admin: CertificateFiles,
  ) {
    this.dir = dir;
    this.kubeconfig = join(dir, 'kubeconfig');
    this.server = `https://127.0.0.1:${settings.port}`;
    this.#programs = programs;
    this.#settings = settings;
    this.#admin = admin;
  }

  /** Starts both and returns when the API server is ready: seconds, once the tools are compiled. */
  static async start(
    reporter: Reporter,
    signal: AbortSignal,
    options: ControlPlaneOptions = {},
  ): Promise<ControlPlane> {
    await ensurePackages(['openssl'], reporter, signal);
    const programs = await ensureTools(
      ['etcd', 'kube-apiserver', 'kube-controller-manager'],
      reporter,
      signal,
    );
    return await reporter.step('start etcd and kube-apiserver', async () => {
      const dir = await createOwnedFolder(tmpdir(), 'linuxkit-control-plane-');
      const plane = await ControlPlane.#prepare(dir, programs, signal);
      try {
        await plane.#startEtcd();
        await plane.startApiServer(signal);
        if (options.controllers === true) await plane.#startControllerManager();
        return plane;
      } catch (error) {
        await plane.stop();
        throw error;
      }
    });
  }

  static async #prepare(
    dir: string,
    programs: Readonly<Record<'etcd' | 'kube-apiserver' | 'kube-controller-manager', string>>,
    signal: AbortSignal,
  ): Promise<ControlPlane> {
    const folder = join(dir, 'pki');
    await mkdir(join(dir, 'logs'));
    const authority = await CertificateAuthority.create(folder, 'control-plane', signal);
    const [serving, admin, kubeletClient, tokenKeys, port] = await Promise.all([
      authority.issue(
        {
          file: 'apiserver',
          commonName: 'kube-apiserver',
          names: ['IP:127.0.0.1', 'IP:10.0.0.1', 'DNS:localhost', 'DNS:kubernetes.default.svc'],
          usages: ['serverAuth'],
        },
        signal,
      ),
      authority.issue(
        { file: 'admin', commonName: 'admin', organization: 'system:masters', usages: ['clientAuth'] },
        signal,
      ),
      authority.issue(
        {
          file: 'apiserver-kubelet-client',
          commonName: 'kube-apiserver-kubelet-client',
          organization: 'system:masters',
          usages: ['clientAuth'],
        },
        signal,
      ),
      createTokenKeys(folder, signal),
      findFreePort(),
    ]);
    const plane = new ControlPlane(
      dir,
      programs,
      {
        // Sockets in our own folder: no port to clash with, and nobody else's way in.
        etcdServers: `unix://${join(dir, 'etcd.sock')}`,
        bindAddress: '127.0.0.1',
        advertiseAddress: '127.0.0.1',
        port,
        serviceCidr: '10.0.0.0/24',
        authority: authority.files,
        serving,
        kubeletClient,
        tokenKeys,
        serviceAccounts: false,
      },
      admin,
    );
    await writeKubeconfig(
      plane.kubeconfig,
      { name: 'control-plane', server: plane.server, authority: authority.files.certificate },
      admin,
    );
    return plane;
  }

  /** Starts the API server after `killApiServer`, with the same port and data. */
  async startApiServer(signal: AbortSignal): Promise<void> {
    this.#apiServer = await this.#run('kube-apiserver', apiServerFlags(this.#settings));
    const watched = [this.#etcd, this.#apiServer].filter((each) => each !== undefined);
    await waitForApiServer(this.server, this.#settings.authority.certificate, this.#admin, watched, signal);
  }

  /** Kills the API server without warning, as a crash would. Returns when it is gone. */
  async killApiServer(signal: AbortSignal): Promise<void> {
    this.#apiServer?.kill('SIGKILL');
    await this.#apiServer?.waitForExit(signal, 10_000);
  }

  /** Kills the API server and starts it again; returns when it is ready. */
  async restartApiServer(signal: AbortSignal): Promise<void> {
    await this.killApiServer(signal);
    await this.startApiServer(signal);
  }

  /** Ends all processes and removes the folder. */
  async stop(): Promise<void> {
    const signal = AbortSignal.timeout(30_000);
    for (const each of [this.#controllerManager, this.#apiServer, this.#etcd]) {
      // The data goes with the folder, so there is nothing to write down first.
      if (each?.kill('SIGKILL') === true) await each.waitForExit(signal, 10_000);
    }
    await rm(this.dir, { recursive: true, force: true });
  }

  async #startEtcd(): Promise<void> {
    this.#etcd = await this.#run('etcd', etcdFlags(join(this.dir, 'etcd'), this.#settings.etcdServers));
  }

  async #startControllerManager(): Promise<void> {
    this.#controllerManager = await this.#run('kube-controller-manager', [
      ...controllerManagerFlags(this.kubeconfig, this.#settings, undefined),
      '--secure-port=0',
    ]);
  }

  async #run(name: 'etcd' | 'kube-apiserver' | 'kube-controller-manager', args: readonly string[]) {
    return await Component.start({
      name,
      command: this.#programs[name],
      args,
      logFile: join(this.dir, 'logs', `${name}.log`),
      cwd: this.dir,
      survives: false,
    });
  }
}
