import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Component } from '../process/component.ts';
import { run } from '../process/run.ts';
import { waitFor } from '../process/wait.ts';
import type { Step } from '../progress/reporter.ts';
import { AUDIT_POLICY, auditFiles } from './audit.ts';
import type { NodeComponent, NodeTools } from './components.ts';
import { clusterManifests } from './manifests.ts';
import type { ClusterCertificates } from './node-certificates.ts';
import {
  cniConfig,
  containerdConfig,
  containerdSocket,
  corefile,
  kubeletConfig,
  kubeProxyConfig,
  type NodeSettings,
  plainHttpHosts,
  registryConfig,
  registryHosts,
} from './node-config.ts';
import { pauseImage, writePauseArchive } from './pause-image.ts';
import { get, waitForApiServer } from './readiness.ts';

/** What it takes to bring a node up in namespaces that exist. */
export interface NodeBoot {
  readonly settings: NodeSettings;
  readonly tools: NodeTools;
  readonly certificates: ClusterCertificates;
  readonly server: string;
  readonly start: (component: NodeComponent) => Promise<Component>;
  readonly loadImage: (reference: string, archive: string) => Promise<void>;
}

/** Starts a node's components in the order of their needs and returns when all of them are ready. */
export async function bootNode(boot: NodeBoot, step: Step, signal: AbortSignal): Promise<void> {
  const { settings, server, certificates } = boot;
  const { network, folder } = settings;
  await writeConfigurations(settings);

  step.detail('etcd, kube-apiserver, containerd');
  const [etcd, containerd, registry] = await Promise.all([
    boot.start('etcd'),
    boot.start('containerd'),
    boot.start('registry'),
  ]);
  const apiServer = await boot.start('kube-apiserver');
  const core = [etcd, apiServer, containerd, registry];
  const authority = certificates.authority.certificate;
  const [archive] = await Promise.all([
    writePauseArchive(boot.tools.pause, folder, signal),
    waitForContainerd(boot, [containerd], signal),
    waitForApiServer(server, authority, certificates.admin, core, signal),
  ]);
  await boot.loadImage(pauseImage, archive);

  step.detail('kubelet, kube-proxy, controllers, CoreDNS');
  await run(boot.tools.kubectl, ['--kubeconfig', join(folder, 'kubeconfig'), 'create', '-f', '-'], {
    signal,
    input: JSON.stringify(clusterManifests(network)),
  });
  const rest: Component[] = [];
  for (const each of [
    'kubelet',
    'kube-controller-manager',
    'kube-scheduler',
    'kube-proxy',
    'coredns',
  ] as const) {
    rest.push(await boot.start(each));
  }
  const watched = [...core, ...rest];

  step.detail('waiting for the node');
  await waitFor(
    `node ${settings.nodeName}`,
    async () => {
      const answer = await get(
        `${server}/api/v1/nodes/${settings.nodeName}`,
        authority,
        certificates.admin,
        signal,
      );
      return nodeIsReady(answer.body);
    },
    { signal, timeout: 120_000, watched, interval: 100 },
  );
  const endpoints = [
    ['CoreDNS', `http://${network.nodeAddress}:8181/ready`],
    ['kube-proxy', `http://${network.nodeAddress}:10256/healthz`],
    ['the registry', `http://${network.nodeAddress}:5000/v2/`],
    ['the default service account', `${server}/api/v1/namespaces/default/serviceaccounts/default`],
  ] as const;
  for (const [what, url] of endpoints) {
    step.detail(`waiting for ${what}`);
    await waitFor(
      what,
      async () =>
        url.startsWith('https:')
          ? (await get(url, authority, certificates.admin, signal)).status === 200
          : (await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(5_000)]) })).ok,
      { signal, timeout: 60_000, watched, interval: 50 },
    );
  }
}

/** Whether the JSON of a Node says that it is Ready. */
export function nodeIsReady(json: string): boolean {
  const node = JSON.parse(json) as {
    readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
  };
  return node.status?.conditions?.some((each) => each.type === 'Ready' && each.status === 'True') === true;
}

async function writeConfigurations(settings: NodeSettings): Promise<void> {
  const { folder } = settings;
  for (const each of ['etc', 'cni', 'registry', 'containerd'])
    await mkdir(join(folder, each), { recursive: true });
  const json = (document: unknown): string => `${JSON.stringify(document, null, 2)}\n`;
  await writeFile(join(folder, 'etc', 'containerd.toml'), containerdConfig(settings));
  // By its address the registry is the same for this machine, pods and containerd.
  const outside = `${settings.network.nodeAddress}:5000`;
  await mkdir(join(registryHosts(folder), outside), { recursive: true });
  await writeFile(join(registryHosts(folder), outside, 'hosts.toml'), plainHttpHosts(outside));
  await writeFile(auditFiles(folder).policy, json(AUDIT_POLICY));
  await writeFile(join(folder, 'etc', 'kubelet.json'), json(kubeletConfig(settings)));
  await writeFile(join(folder, 'etc', 'kube-proxy.json'), json(kubeProxyConfig(settings)));
  await writeFile(join(folder, 'etc', 'Corefile'), corefile(settings));
  await writeFile(join(folder, 'etc', 'registry.yaml'), registryConfig(folder));
  // Given to pods that ask for the node's own resolver, which there is none of here.
  await writeFile(join(folder, 'etc', 'resolv.conf'), 'options ndots:1\n');
  await writeFile(join(folder, 'cni', '10-pods.conflist'), json(cniConfig(settings.network)));
}

async function waitForContainerd(
  boot: NodeBoot,
  watched: readonly Component[],
  signal: AbortSignal,
): Promise<void> {
  const socket = containerdSocket(boot.settings.folder);
  await waitFor(
    'containerd',
    async () => await run(boot.tools.ctr, ['--address', socket, 'version'], { signal, timeout: 10_000 }),
    { signal, timeout: 60_000, watched, interval: 100 },
  );
}
