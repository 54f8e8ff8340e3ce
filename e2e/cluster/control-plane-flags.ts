import type { CertificateFiles } from './certificates.ts';

/** What the API server needs to know to be started. */
export interface ApiServerSettings {
  readonly etcdServers: string;
  readonly bindAddress: string;
  /** Where the `kubernetes` Service leads. */
  readonly advertiseAddress: string;
  readonly port: number;
  readonly serviceCidr: string;
  readonly authority: CertificateFiles;
  readonly serving: CertificateFiles;
  readonly kubeletClient: CertificateFiles;
  readonly tokenKeys: { readonly privateKey: string; readonly publicKey: string };
  /** False where no controller makes service accounts, or every pod would be refused. */
  readonly serviceAccounts: boolean;
  /** Paths of an audit policy and of the log that is kept by it. */
  readonly audit?: { readonly policy: string; readonly log: string };
}

/** The flags of etcd: one member, data in `dataDir`, durability given up for speed. */
export function etcdFlags(dataDir: string, clientUrl: string): readonly string[] {
  // etcd insists on host:port for the addresses that members tell each other. There are
  // no others, and with this scheme host:port is the name of a socket in its folder.
  const peerUrl = 'unix://peer:1';
  return [
    '--name=default',
    `--data-dir=${dataDir}`,
    `--listen-client-urls=${clientUrl}`,
    '--advertise-client-urls=unix://client:1',
    `--listen-peer-urls=${peerUrl}`,
    `--initial-advertise-peer-urls=${peerUrl}`,
    `--initial-cluster=default=${peerUrl}`,
    '--unsafe-no-fsync',
    '--log-level=warn',
  ];
}

/** The flags of kube-apiserver. */
export function apiServerFlags(settings: ApiServerSettings): readonly string[] {
  return [
    `--etcd-servers=${settings.etcdServers}`,
    `--bind-address=${settings.bindAddress}`,
    `--secure-port=${settings.port}`,
    `--advertise-address=${settings.advertiseAddress}`,
    `--service-cluster-ip-range=${settings.serviceCidr}`,
    '--authorization-mode=Node,RBAC',
    settings.serviceAccounts
      ? '--enable-admission-plugins=NodeRestriction'
      : '--disable-admission-plugins=ServiceAccount',
    ...(settings.audit === undefined
      ? []
      : [`--audit-policy-file=${settings.audit.policy}`, `--audit-log-path=${settings.audit.log}`]),
    '--allow-privileged=true',
    `--client-ca-file=${settings.authority.certificate}`,
    // Without it every client of delegated authentication complains for ever. Nobody is let in by it.
    `--requestheader-client-ca-file=${settings.authority.certificate}`,
    '--requestheader-allowed-names=front-proxy-client',
    '--requestheader-username-headers=X-Remote-User',
    '--requestheader-group-headers=X-Remote-Group',
    '--requestheader-extra-headers-prefix=X-Remote-Extra-',
    `--tls-cert-file=${settings.serving.certificate}`,
    `--tls-private-key-file=${settings.serving.key}`,
    `--kubelet-certificate-authority=${settings.authority.certificate}`,
    `--kubelet-client-certificate=${settings.kubeletClient.certificate}`,
    `--kubelet-client-key=${settings.kubeletClient.key}`,
    '--kubelet-preferred-address-types=InternalIP,Hostname',
    '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
    `--service-account-key-file=${settings.tokenKeys.publicKey}`,
    `--service-account-signing-key-file=${settings.tokenKeys.privateKey}`,
    // A terminating server should give its clients up soon, not after a minute.
    '--shutdown-delay-duration=0s',
    '--shutdown-watch-termination-grace-period=1s',
  ];
}

/** The flags of kube-controller-manager; `pods` is the address range of the nodes' pods. */
export function controllerManagerFlags(
  kubeconfig: string,
  settings: ApiServerSettings,
  pods: string | undefined,
): readonly string[] {
  return [
    `--kubeconfig=${kubeconfig}`,
    `--authentication-kubeconfig=${kubeconfig}`,
    `--authorization-kubeconfig=${kubeconfig}`,
    '--bind-address=127.0.0.1',
    '--leader-elect=false',
    '--use-service-account-credentials=true',
    `--root-ca-file=${settings.authority.certificate}`,
    `--cluster-signing-cert-file=${settings.authority.certificate}`,
    `--cluster-signing-key-file=${settings.authority.key}`,
    `--service-account-private-key-file=${settings.tokenKeys.privateKey}`,
    `--service-cluster-ip-range=${settings.serviceCidr}`,
    ...(pods === undefined
      ? ['--allocate-node-cidrs=false']
      : ['--allocate-node-cidrs=true', `--cluster-cidr=${pods}`, '--node-cidr-mask-size=24']),
  ];
}
