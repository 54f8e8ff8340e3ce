import type { CloudInit, InstanceSpec, Volume } from '../api/instance-spec.ts';
import { bytesOf } from '../api/quantity.ts';
import type { Claim, VirtualMachineInstance } from '../api/types.ts';

/** Where the pod keeps the images that it makes itself. */
export const DISK_FOLDER = '/var/run/vm-disks';
const CLAIM_FOLDER = '/var/run/kubevirt-private/vmi-disks';
const SOURCE_FOLDER = '/var/run/vm-sources';
/** Inline cloud-init data reaches the pod in these annotations, which it sees as files. */
const CLOUD_INIT_ANNOTATION = 'standin.kubevirt.io/cloud-init';

/** As the launcher reads it (`images/guest/qemu-launcher/disks.go`). */
export interface IsoPlan {
  readonly path: string;
  readonly label: string;
  readonly folders: readonly string[];
  readonly cloudInit?: boolean;
}

/** What one volume needs: a file for QEMU, and how the pod comes to have it. */
export interface Source {
  readonly file: string;
  readonly readonly: boolean;
  readonly local?: boolean;
  readonly podVolumes: readonly object[];
  readonly mounts: readonly object[];
  readonly annotations?: Readonly<Record<string, string>>;
  readonly iso?: IsoPlan;
  readonly disk?: { readonly path: string; readonly size: number };
}

/** Names of the claims that an instance's disks are on. */
export function claimNames(spec: InstanceSpec): string[] {
  return (spec.volumes ?? []).flatMap((volume) => claimOf(volume)?.name ?? []);
}

function claimOf(volume: Volume): { readonly name: string; readonly readOnly: boolean } | undefined {
  const { persistentVolumeClaim: claim, dataVolume } = volume;
  if (claim !== undefined) return { name: claim.claimName, readOnly: claim.readOnly === true };
  // The claim of a DataVolume bears its name.
  return dataVolume === undefined ? undefined : { name: dataVolume.name, readOnly: false };
}

/** The source of a volume, or why the stand-in has none. */
export function sourceOf(
  vmi: VirtualMachineInstance,
  volume: Volume,
  claims: ReadonlyMap<string, Claim>,
): Source | { readonly problem: string } {
  const { name, configMap, secret, emptyDisk, cloudInitNoCloud } = volume;
  if (configMap !== undefined)
    return isoSource(name, configMap.volumeLabel, {
      configMap: { name: configMap.name, ...optional(configMap.optional) },
    });
  if (secret !== undefined)
    return isoSource(name, secret.volumeLabel, {
      secret: { secretName: secret.secretName, ...optional(secret.optional) },
    });
  if (cloudInitNoCloud !== undefined) return cloudInitSource(vmi, name, cloudInitNoCloud);
  if (emptyDisk !== undefined) {
    const path = `${DISK_FOLDER}/${name}.img`;
    const disk = { path, size: bytesOf(emptyDisk.capacity) };
    return { file: path, readonly: false, local: true, podVolumes: [], mounts: [], disk };
  }
  const claim = claimOf(volume);
  if (claim !== undefined) return claimSource(name, claim, claims.get(claim.name));
  const [kind = 'none'] = Object.keys(volume).filter((key) => key !== 'name');
  return { problem: `the stand-in for KubeVirt does not play volumes of the kind ${kind} (volume ${name})` };
}

function optional(value: boolean | undefined): { optional?: boolean } {
  return value === undefined ? {} : { optional: value };
}

/** A ConfigMap or Secret as a CD-ROM with its keys as files. */
function isoSource(name: string, label: string | undefined, volume: object): Source {
  const file = `${DISK_FOLDER}/${name}.iso`;
  const folder = `${SOURCE_FOLDER}/${name}`;
  return {
    file,
    readonly: true,
    podVolumes: [{ name: `source-${name}`, ...volume }],
    mounts: [{ name: `source-${name}`, mountPath: folder, readOnly: true }],
    iso: { path: file, label: label ?? 'cfgdata', folders: [folder] },
  };
}

/** A CD-ROM in the form of cloud-init's NoCloud: user data from a Secret or as given, and meta-data. */
function cloudInitSource(vmi: VirtualMachineInstance, name: string, data: CloudInit): Source {
  const file = `${DISK_FOLDER}/${name}.iso`;
  const folder = (part: string): string => `${SOURCE_FOLDER}/${name}-${part}`;
  const host = vmi.spec.hostname ?? vmi.metadata.name;
  const texts: Record<string, string | undefined> = {
    'meta-data': JSON.stringify({
      'instance-id': `${vmi.metadata.name}.${vmi.metadata.namespace}`,
      'local-hostname': host,
    }),
    'user-data': data.userData ?? decoded(data.userDataBase64),
    'network-config': data.networkData ?? decoded(data.networkDataBase64),
  };
  const given = Object.entries(texts).flatMap(([path, text]) => (text === undefined ? [] : [{ path, text }]));
  const secrets = [
    { part: 'user', reference: data.secretRef },
    { part: 'network', reference: data.networkDataSecretRef },
  ].flatMap(({ part, reference }) => (reference === undefined ? [] : [{ part, secretName: reference.name }]));
  const key = (path: string): string => `${CLOUD_INIT_ANNOTATION}-${name}-${path}`.slice(0, 83);
  const mount = (part: string): object => ({
    name: `source-${name}-${part}`,
    mountPath: folder(part),
    readOnly: true,
  });
  return {
    file,
    readonly: true,
    annotations: Object.fromEntries(given.map(({ path, text }) => [key(path), text])),
    podVolumes: [
      {
        name: `source-${name}-given`,
        downwardAPI: {
          items: given.map(({ path }) => ({
            path,
            fieldRef: { fieldPath: `metadata.annotations['${key(path)}']` },
          })),
        },
      },
      ...secrets.map(({ part, secretName }) => ({ name: `source-${name}-${part}`, secret: { secretName } })),
    ],
    mounts: [mount('given'), ...secrets.map(({ part }) => mount(part))],
    iso: {
      path: file,
      label: 'cidata',
      folders: [folder('given'), ...secrets.map(({ part }) => folder(part))],
      cloudInit: true,
    },
  };
}

function decoded(text: string | undefined): string | undefined {
  return text === undefined ? undefined : Buffer.from(text, 'base64').toString();
}

/** A file `disk.img` on the claim's file system; made of the claim's size where there is none yet. */
function claimSource(
  name: string,
  claim: { readonly name: string; readonly readOnly: boolean },
  known: Claim | undefined,
): Source {
  const folder = `${CLAIM_FOLDER}/${name}`;
  const file = `${folder}/disk.img`;
  const capacity = known?.status?.capacity?.storage ?? known?.spec?.resources?.requests?.storage ?? '0';
  return {
    file,
    readonly: claim.readOnly,
    podVolumes: [
      {
        name: `claim-${name}`,
        persistentVolumeClaim: { claimName: claim.name, readOnly: claim.readOnly },
      },
    ],
    mounts: [{ name: `claim-${name}`, mountPath: folder, readOnly: claim.readOnly }],
    ...(claim.readOnly ? {} : { disk: { path: file, size: bytesOf(capacity) } }),
  };
}
