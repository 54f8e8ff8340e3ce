import { S3Client } from '@aws-sdk/client-s3';
import { inject } from 'vitest';
import { S3Store } from '../../operator/storage/s3/s3-store.ts';
import { LocalCluster } from '../cluster/local-cluster.ts';
import { waitFor } from '../process/wait.ts';
import { OPERATOR_NAMESPACE, RELEASE } from '../stack/chart.ts';
import { Kubectl } from '../stack/kubectl.ts';

export const REGISTRY = 'registry.test:5000';
export const BUCKET = 'linuxkit';

const stack = inject('stack');
export const kubectl = new Kubectl(stack.kubectl, stack.kubeconfig);

/** The cluster under test. */
export async function testCluster(): Promise<LocalCluster> {
  const cluster = await LocalCluster.attach(stack.cluster);
  if (cluster === undefined) throw new Error(`the cluster ${stack.cluster} does not run`);
  return cluster;
}

/** A deadline for one step of a test. */
export function within(seconds: number): AbortSignal {
  return AbortSignal.timeout(seconds * 1000);
}

/** LinuxKit configuration of the smallest machine; `greeting` is what its service prints. */
export function linuxkitConfig(greeting: string, change: (config: Config) => void = () => undefined): Config {
  const config: Config = {
    kernel: { image: `${REGISTRY}/linuxkit/kernel:6.1`, cmdline: 'console=ttyS0 quiet' },
    init: [
      `${REGISTRY}/linuxkit/init:1`,
      `${REGISTRY}/linuxkit/runc:1.1`,
      `${REGISTRY}/linuxkit/containerd:1.6`,
    ],
    onboot: [
      {
        name: 'hello',
        image: `${REGISTRY}/linuxkit/hello:1`,
        env: ['PATH=/bin', `GREETING=onboot ${greeting}`],
      },
      { name: 'dhcpcd', image: `${REGISTRY}/linuxkit/dhcpcd:1`, command: ['/sbin/dhcpcd', '-1'] },
    ],
    services: [
      { name: 'acpid', image: `${REGISTRY}/linuxkit/acpid:1` },
      {
        name: 'httpd',
        image: `${REGISTRY}/linuxkit/httpd:1`,
        env: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin', `GREETING=service ${greeting}`],
      },
    ],
  };
  change(config);
  return config;
}

export interface Config {
  kernel: { image: string; cmdline: string };
  init: string[];
  onboot: Record<string, unknown>[];
  services: Record<string, unknown>[];
  [section: string]: unknown;
}

export function linuxkitImage(
  namespace: string,
  name: string,
  spec: Readonly<Record<string, unknown>>,
): object {
  return { apiVersion: 'linuxkit.dev/v1alpha1', kind: 'LinuxKitImage', metadata: { namespace, name }, spec };
}

export function linuxkitMachine(
  namespace: string,
  name: string,
  spec: Readonly<Record<string, unknown>> = {},
): object {
  return {
    apiVersion: 'linuxkit.dev/v1alpha1',
    kind: 'LinuxKitMachine',
    metadata: { namespace, name },
    spec: {
      imageRef: { name },
      memory: '512Mi',
      network: { ports: [{ port: 80 }] },
      readinessProbe: { tcpSocket: { port: 80 }, periodSeconds: 1, failureThreshold: 60 },
      ...spec,
    },
  };
}

/** An empty namespace. In a cluster that was kept from an earlier run, what that run left in it is deleted first. */
export async function createNamespace(name: string): Promise<void> {
  await kubectl.run(['delete', 'namespace', name, '--ignore-not-found', '--timeout=120s'], within(130));
  // Virtual machines' pods need `baseline`; nothing of ours needs more.
  const labels = { 'pod-security.kubernetes.io/enforce': 'baseline' };
  await kubectl.apply([{ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } }], within(30));
}

export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration?: number;
}

export interface StoredFile {
  readonly key: string;
  readonly size: number;
  readonly sha256: string;
}

export interface Artifact {
  readonly digest: string;
  readonly bootImage: { readonly reference: string; readonly digest: string };
  readonly kernel: StoredFile;
  readonly initrd: StoredFile;
  readonly cmdline: StoredFile;
  readonly inputs: readonly {
    readonly location: string;
    readonly reference: string;
    readonly digest: string;
    readonly verifiedBy?: string;
  }[];
}

export interface ImageObject {
  readonly metadata: { readonly uid: string; readonly generation: number };
  readonly status?: {
    readonly conditions?: readonly Condition[];
    readonly artifact?: Artifact;
    readonly history?: readonly Artifact[];
    readonly build?: { readonly job: string };
    readonly lastFailure?: {
      readonly step: string;
      readonly reason: string;
      readonly message: string;
      readonly pod?: string;
      readonly exitCode?: number;
      readonly logTail?: string;
    };
  };
}

export interface MachineObject {
  readonly status?: {
    readonly conditions?: readonly Condition[];
    readonly readyReplicas?: number;
    readonly updatedReplicas?: number;
    readonly targetDigest?: string;
    readonly currentDigest?: string;
    readonly machines?: readonly {
      readonly name: string;
      readonly phase: string;
      readonly ready: boolean;
      readonly bootedDigest?: string;
      readonly node?: string;
      readonly addresses?: readonly string[];
      readonly message?: string;
    }[];
  };
}

export async function image(namespace: string, name: string): Promise<ImageObject> {
  return await kubectl.json([`--namespace=${namespace}`, 'get', 'linuxkitimage', name], within(20));
}

export async function machine(namespace: string, name: string): Promise<MachineObject> {
  return await kubectl.json([`--namespace=${namespace}`, 'get', 'linuxkitmachine', name], within(20));
}

export function condition(
  object: { readonly status?: { readonly conditions?: readonly Condition[] } },
  type: string,
): Condition | undefined {
  return object.status?.conditions?.find((each) => each.type === type);
}

/** Waits until the image is Ready for its present generation. */
export async function imageReady(namespace: string, name: string, seconds = 180): Promise<ImageObject> {
  return await eventually(`image ${namespace}/${name} to be Ready`, seconds, async () => {
    const object = await image(namespace, name);
    const ready = condition(object, 'Ready');
    return ready?.status === 'True' && ready.observedGeneration === object.metadata.generation
      ? object
      : undefined;
  });
}

/** Waits until every virtual machine is ready and runs the artifact: by status, and by what containerd mounted. */
export async function machineReady(
  namespace: string,
  name: string,
  artifact: Artifact,
  seconds = 180,
): Promise<MachineObject> {
  const object = await eventually(
    `machine ${namespace}/${name} to run ${artifact.digest}`,
    seconds,
    async () => {
      const found = await machine(namespace, name);
      const booted = found.status?.machines?.every(
        (row) => row.ready && row.bootedDigest === artifact.digest,
      );
      return condition(found, 'Ready')?.status === 'True' && booted === true ? found : undefined;
    },
  );
  const selector = `linuxkit.dev/machine=${name},kubevirt.io=virt-launcher`;
  const path = '{.items[*].status.initContainerStatuses[?(@.name=="volumekernel-boot-volume")].imageID}';
  const mounted = await kubectl.run(
    [`--namespace=${namespace}`, 'get', 'pods', '-l', selector, '-o', `jsonpath=${path}`],
    within(20),
  );
  const digests = new Set(
    mounted
      .trim()
      .split(' ')
      .map((reference) => reference.split('@')[1]),
  );
  if (digests.size !== 1 || !digests.has(artifact.bootImage.digest))
    throw new Error(`${namespace}/${name} was booted from ${mounted}, not from ${artifact.bootImage.digest}`);
  return object;
}

export async function eventually<T>(
  what: string,
  seconds: number,
  probe: () => Promise<T | undefined | false>,
): Promise<T> {
  return await waitFor(what, probe, { signal: within(seconds + 30), timeout: seconds * 1000, interval: 300 });
}

export interface EventObject {
  readonly reason?: string;
  readonly message?: string;
  readonly type?: string;
  readonly involvedObject: { readonly kind?: string; readonly name?: string };
}

export async function eventsOf(
  namespace: string,
  kind: string,
  name: string,
): Promise<readonly EventObject[]> {
  const { items } = await kubectl.json<{ items: readonly EventObject[] }>(
    [`--namespace=${namespace}`, 'get', 'events'],
    within(20),
  );
  return items.filter(({ involvedObject }) => involvedObject.kind === kind && involvedObject.name === name);
}

/** The operator's bucket, seen as an administrator of the storage. */
export async function bucket(): Promise<{ readonly store: S3Store; readonly client: S3Client }> {
  const name = `${RELEASE}-storage`;
  const secret = await kubectl.json<{ data: Record<string, string> }>(
    [`--namespace=${OPERATOR_NAMESPACE}`, 'get', 'secret', name],
    within(20),
  );
  const service = await kubectl.json<{ spec: { clusterIP: string } }>(
    [`--namespace=${OPERATOR_NAMESPACE}`, 'get', 'service', name],
    within(20),
  );
  const decode = (key: string) => Buffer.from(secret.data[key] ?? '', 'base64').toString();
  const client = new S3Client({
    endpoint: `http://${service.spec.clusterIP}:7070`,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: {
      accessKeyId: decode('AWS_ACCESS_KEY_ID'),
      secretAccessKey: decode('AWS_SECRET_ACCESS_KEY'),
    },
  });
  return { store: new S3Store(client, BUCKET), client };
}

export async function keysBelow(prefix: string): Promise<string[]> {
  const { store, client } = await bucket();
  try {
    const keys: string[] = [];
    for await (const { key } of store.list(prefix, { signal: within(30) })) keys.push(key);
    return keys.sort();
  } finally {
    client.destroy();
  }
}
