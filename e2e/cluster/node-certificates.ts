import { join } from 'node:path';
import {
  CertificateAuthority,
  type CertificateFiles,
  createTokenKeys,
  writeKubeconfig,
} from './certificates.ts';
import { corednsUser } from './manifests.ts';
import type { ClusterNetwork } from './network.ts';

/** Every certificate of a cluster. */
export interface ClusterCertificates {
  readonly authority: CertificateFiles;
  readonly apiServer: CertificateFiles;
  readonly kubeletClient: CertificateFiles;
  readonly kubeletServing: CertificateFiles;
  readonly admin: CertificateFiles;
  readonly tokenKeys: { readonly privateKey: string; readonly publicKey: string };
}

/** Makes the certificates of a cluster and, beside its folder `pki`, a kubeconfig for each component. */
export async function createCertificates(
  folder: string,
  nodeName: string,
  network: ClusterNetwork,
  signal: AbortSignal,
): Promise<ClusterCertificates> {
  const authority = await CertificateAuthority.create(join(folder, 'pki'), nodeName, signal);
  const client = async (file: string, commonName: string, organization?: string): Promise<CertificateFiles> =>
    await authority.issue(
      {
        file,
        commonName,
        usages: ['clientAuth'],
        ...(organization === undefined ? {} : { organization }),
      },
      signal,
    );
  const [apiServer, kubeletServing, admin, kubeletClient, tokenKeys] = await Promise.all([
    authority.issue(
      {
        file: 'apiserver',
        commonName: 'kube-apiserver',
        names: [
          `IP:${network.nodeAddress}`,
          `IP:${network.apiServiceAddress}`,
          'IP:127.0.0.1',
          'DNS:localhost',
          'DNS:kubernetes',
          'DNS:kubernetes.default',
          'DNS:kubernetes.default.svc',
          'DNS:kubernetes.default.svc.cluster.local',
        ],
        usages: ['serverAuth'],
      },
      signal,
    ),
    authority.issue(
      {
        file: 'kubelet-serving',
        commonName: `system:node:${nodeName}`,
        organization: 'system:nodes',
        names: [`IP:${network.nodeAddress}`, `DNS:${nodeName}`],
        usages: ['serverAuth'],
      },
      signal,
    ),
    client('admin', 'admin', 'system:masters'),
    client('apiserver-kubelet-client', 'kube-apiserver-kubelet-client', 'system:masters'),
    createTokenKeys(join(folder, 'pki'), signal),
  ]);
  const server = `https://${network.nodeAddress}:6443`;
  const cluster = { name: nodeName, server, authority: authority.files.certificate };
  await writeKubeconfig(join(folder, 'kubeconfig'), cluster, admin);
  const users = [
    ['kube-controller-manager', 'system:kube-controller-manager', undefined],
    ['kube-scheduler', 'system:kube-scheduler', undefined],
    ['kube-proxy', 'system:kube-proxy', undefined],
    ['kubelet', `system:node:${nodeName}`, 'system:nodes'],
    ['coredns', corednsUser, undefined],
  ] as const;
  await Promise.all(
    users.map(async ([component, user, group]) => {
      const files = await client(component, user, group);
      await writeKubeconfig(join(folder, `${component}.kubeconfig`), cluster, files);
    }),
  );
  return { authority: authority.files, apiServer, kubeletClient, kubeletServing, admin, tokenKeys };
}
