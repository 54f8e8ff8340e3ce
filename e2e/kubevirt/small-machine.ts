import { messageOf } from '../../operator/errors.ts';
import { ClusterAccess } from '../../operator/runtime/access.ts';
import { ApiClient } from '../../operator/runtime/api-client.ts';
import type { KubeObject } from '../../operator/runtime/objects.ts';
import type { Resource } from '../../operator/runtime/resources.ts';
import { createNamespace, eventually, kubectl, testCluster, within } from '../path/fixtures.ts';
import type { InstanceSpec } from './api/instance-spec.ts';
import { LAUNCHER_PODS, VIRTUAL_MACHINE_INSTANCES, VIRTUAL_MACHINES } from './api/resources.ts';
import type { Pod, VirtualMachine, VirtualMachineInstance } from './api/types.ts';
import { publishSmallGuest } from './small-guest.ts';

/** Long enough for a guest under software emulation on a busy machine. */
const DEADLINE_S = 180;

/** Machines with the small guest, for the stand-in's own cluster tests, in one namespace. */
export class SmallMachines implements AsyncDisposable {
  readonly namespace: string;
  /** The boot image as the node's container runtime names it. */
  readonly image: string;
  /** Asks often, and so without a command for every question. */
  readonly #client = new ApiClient(ClusterAccess.load({ file: kubectl.kubeconfig }));

  constructor(namespace: string, image: string) {
    this.namespace = namespace;
    this.image = image;
  }

  /** Puts the guest into the cluster's registry, and makes the namespace. */
  static async start(namespace: string): Promise<SmallMachines> {
    const { registry } = await testCluster();
    const guest = await publishSmallGuest(registry.host, within(180));
    await createNamespace(namespace);
    return new SmallMachines(namespace, `${registry.host}/${guest}`);
  }

  /** A machine whose guest does what `kernelArgs` say (`guest/init`). */
  machine(
    name: string,
    kernelArgs: string,
    change: (spec: InstanceSpec, vm: VirtualMachine) => void = () => undefined,
  ): VirtualMachine {
    const spec: InstanceSpec = {
      terminationGracePeriodSeconds: 10,
      domain: {
        memory: { guest: '128Mi' },
        devices: { interfaces: [{ name: 'default', masquerade: {} }] },
        firmware: {
          kernelBoot: {
            kernelArgs: `console=ttyS0 quiet ${kernelArgs}`,
            container: {
              image: this.image,
              imagePullPolicy: 'IfNotPresent',
              kernelPath: '/boot/kernel',
              initrdPath: '/boot/initrd.img',
            },
          },
        },
      },
      networks: [{ name: 'default', pod: {} }],
    };
    const vm: VirtualMachine = {
      apiVersion: 'kubevirt.io/v1',
      kind: 'VirtualMachine',
      metadata: { name, namespace: this.namespace },
      spec: { runStrategy: 'Always', template: { metadata: { labels: { app: name } }, spec } },
    };
    change(spec, vm);
    return vm;
  }

  async apply(...objects: readonly object[]): Promise<void> {
    await kubectl.apply(objects, within(30));
  }

  async vm(name: string): Promise<VirtualMachine | undefined> {
    return await this.#find(VIRTUAL_MACHINES, name);
  }

  async instance(name: string): Promise<VirtualMachineInstance | undefined> {
    return await this.#find(VIRTUAL_MACHINE_INSTANCES, name);
  }

  /** Of the machine's template, oldest first. */
  async pods(name: string): Promise<readonly Pod[]> {
    const { items } = await this.#client.list(LAUNCHER_PODS, {
      namespace: this.namespace,
      labelSelector: `app=${name}`,
      signal: within(20),
    });
    return (items as unknown as readonly Pod[]).toSorted((a, b) => created(a).localeCompare(created(b)));
  }

  async #find<T>(type: Resource<KubeObject>, name: string): Promise<T | undefined> {
    const key = { namespace: this.namespace, name };
    return (await this.#client.find(type, key, { signal: within(20) })) as T | undefined;
  }

  /** Deletes the instance without waiting. */
  async end(name: string): Promise<void> {
    await kubectl.run(
      [`--namespace=${this.namespace}`, 'delete', 'virtualmachineinstance', name, '--wait=false'],
      within(20),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.access[Symbol.asyncDispose]();
  }

  /** Deletes machines, and waits until they are gone. */
  async remove(...names: readonly string[]): Promise<void> {
    await kubectl.run(
      [`--namespace=${this.namespace}`, 'delete', 'virtualmachine', ...names, '--timeout=90s'],
      within(100),
    );
  }

  /** Waits until the instance is in the phase; not one of the `not` uids. */
  async inPhase(name: string, phase: string, not: readonly (string | undefined)[] = []) {
    return await eventually(`instance ${name} to be ${phase}`, DEADLINE_S, async () => {
      const vmi = await this.instance(name);
      return vmi?.status?.phase === phase && !not.includes(vmi.metadata.uid) ? vmi : undefined;
    });
  }

  /** Waits until the machine's printed status is one of these. */
  async printed(name: string, ...statuses: readonly string[]): Promise<VirtualMachine> {
    return await eventually(`machine ${name} to be ${statuses.join(' or ')}`, DEADLINE_S, async () => {
      const vm = await this.vm(name);
      return statuses.includes(vm?.status?.printableStatus ?? '') ? vm : undefined;
    });
  }

  /** Waits for a line on the console of the instance's newest pod. */
  async console(name: string, pattern: RegExp): Promise<string> {
    return await eventually(`${String(pattern)} on the console of ${name}`, DEADLINE_S, async () => {
      const newest = (await this.pods(name)).at(-1);
      if (newest === undefined) return undefined;
      const key = { namespace: this.namespace, name: newest.metadata.name };
      const text = await this.#client.podLogs(key, {
        container: 'guest-console-log',
        tailLines: 1000,
        limitBytes: 256 * 1024,
        signal: within(20),
      });
      return pattern.test(text) ? text : undefined;
    });
  }

  /** Calls KubeVirt's aggregated API. */
  async call(name: string, verb: 'restart' | 'start' | 'stop' | 'migrate'): Promise<void> {
    const path = `/apis/subresources.kubevirt.io/v1/namespaces/${this.namespace}/virtualmachines/${name}/${verb}`;
    await kubectl.run(['replace', '--raw', path, '-f', '-'], within(20), '{}');
  }

  /** Asks for the eviction of a pod, as `kubectl drain` does. */
  async evict(pod: string): Promise<void> {
    const path = `/api/v1/namespaces/${this.namespace}/pods/${pod}/eviction`;
    const metadata = { name: pod, namespace: this.namespace };
    const body = JSON.stringify({ apiVersion: 'policy/v1', kind: 'Eviction', metadata });
    await kubectl.run(['create', '--raw', path, '-f', '-'], within(20), body);
  }
}

/** What a wish that must fail was refused for. */
export async function refusal(wish: Promise<unknown>): Promise<string> {
  try {
    await wish;
  } catch (error) {
    return messageOf(error);
  }
  return 'it was allowed';
}

function created({ metadata }: Pod): string {
  return metadata.creationTimestamp ?? '';
}
