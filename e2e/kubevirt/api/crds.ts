import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** CRDs as YAML or JSON texts, to be applied by server-side apply. */
export interface Crds {
  /** None of KubeVirt's own was at hand. */
  readonly own: boolean;
  readonly documents: readonly string[];
  /** Names of the CRDs, to wait for. */
  readonly names: readonly string[];
}

interface Kind {
  readonly kind: string;
  readonly group: string;
  readonly version: string;
  readonly short?: string;
  readonly clusterWide?: boolean;
  readonly status?: boolean;
}

const KUBEVIRT = { group: 'kubevirt.io', version: 'v1' } as const;
const MACHINES: readonly Kind[] = [
  { ...KUBEVIRT, kind: 'VirtualMachine', short: 'vm', status: true },
  // KubeVirt's own has no status subresource either.
  { ...KUBEVIRT, kind: 'VirtualMachineInstance', short: 'vmi' },
  { ...KUBEVIRT, kind: 'VirtualMachineInstanceMigration', short: 'vmim', status: true },
];
const INSTANCETYPE = { group: 'instancetype.kubevirt.io', version: 'v1beta1' } as const;
const SIZINGS: readonly Kind[] = [
  { ...INSTANCETYPE, kind: 'VirtualMachineInstancetype' },
  { ...INSTANCETYPE, kind: 'VirtualMachineClusterInstancetype', clusterWide: true },
  { ...INSTANCETYPE, kind: 'VirtualMachinePreference' },
  { ...INSTANCETYPE, kind: 'VirtualMachineClusterPreference', clusterWide: true },
];

/**
 * KubeVirt's own CRDs where a folder of them is at hand (`KUBEVIRT_CRDS`, or `../shared/kubevirt-crds`
 * beside the checkout), and small ones of our own otherwise; those of instance types and
 * preferences are always ours.
 */
export async function kubeVirtCrds(): Promise<Crds> {
  const folder =
    process.env['KUBEVIRT_CRDS'] ??
    join(import.meta.dirname, '..', '..', '..', '..', 'shared', 'kubevirt-crds');
  const present = new Set(await readdir(folder).catch(() => []));
  const files = MACHINES.map((kind) => `${plural(kind)}.yaml`);
  const own = !files.every((file) => present.has(file));
  const machines = own
    ? MACHINES.map((kind) => JSON.stringify(crd(kind)))
    : await Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')));
  return {
    own,
    documents: [...machines, ...SIZINGS.map((kind) => JSON.stringify(crd(kind)))],
    names: [...MACHINES, ...SIZINGS].map(nameOf),
  };
}

function plural({ kind }: Kind): string {
  return `${kind.toLowerCase()}s`;
}

function nameOf(kind: Kind): string {
  return `${plural(kind)}.${kind.group}`;
}

const OPEN = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } as const;
const LIST = { type: 'array', items: OPEN } as const;

function open(properties: Readonly<Record<string, object>>): object {
  return { ...OPEN, properties };
}

/** Anything, but lists where the stand-in goes through lists. */
const INSTANCE_SPEC = open({
  domain: open({ devices: open({ disks: LIST, interfaces: LIST }) }),
  networks: LIST,
  volumes: LIST,
});
const SPECS: Readonly<Record<string, object>> = {
  VirtualMachine: open({ template: open({ spec: INSTANCE_SPEC }) }),
  VirtualMachineInstance: INSTANCE_SPEC,
};

function crd(kind: Kind): object {
  const spec = SPECS[kind.kind] ?? OPEN;
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: nameOf(kind) },
    spec: {
      group: kind.group,
      scope: kind.clusterWide === true ? 'Cluster' : 'Namespaced',
      names: {
        kind: kind.kind,
        plural: plural(kind),
        singular: kind.kind.toLowerCase(),
        ...(kind.short === undefined ? {} : { shortNames: [kind.short] }),
      },
      versions: [
        {
          name: kind.version,
          served: true,
          storage: true,
          ...(kind.status === true ? { subresources: { status: {} } } : {}),
          schema: {
            openAPIV3Schema: { type: 'object', required: ['spec'], properties: { spec, status: OPEN } },
          },
        },
      ],
    },
  };
}
