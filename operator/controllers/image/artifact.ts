import type { Artifact, BuildReason, ImageSpec } from '../../api/image.ts';
import type { BuildRecord } from '../../build/record.ts';
import type { Digest } from '../../oci/types.ts';
import { artifactKey, inNamespace } from '../../storage/layout.ts';

/** The schema of the status is narrower than that of a record, which a tenant's pod has written. */
const LIMITS = { cmdline: 4096, inputs: 512, location: 64, reference: 512, verifiedBy: 512 } as const;
/** Inputs that the history holds in all: the object as a whole must stay well below what etcd takes. */
const HISTORY_INPUTS = 1000;

/** What status shows of a stored artifact whose record was checked. */
export function artifactOf(
  image: { readonly namespace: string; readonly name: string },
  record: BuildRecord,
  build: {
    readonly hash: string;
    readonly reason: BuildReason;
    /** By location, of whom this build found signatures. */
    readonly verifiedBy?: Readonly<Record<string, string>> | undefined;
    /** Of the spec that the build was for: its Job has ended well, so the image lies there. */
    readonly bootImage?: ImageSpec['bootImage'];
  },
): Artifact {
  const { namespace, name } = image;
  const { kernel, cmdline, 'initrd.img': initrd } = record.files;
  const key = (file: 'kernel' | 'initrd.img' | 'cmdline'): string =>
    inNamespace(namespace, artifactKey(name, record.digest, file));
  return {
    digest: record.digest,
    bootImage: bootImageOf(`${namespace}/${name}`, record.bootImage.digest, build.bootImage),
    architecture: record.architecture,
    compression: record.compression,
    kernel: { key: key('kernel'), size: kernel.size, sha256: kernel.sha256 },
    initrd: {
      key: key('initrd.img'),
      size: initrd.size,
      sha256: initrd.sha256,
      uncompressedSize: initrd.uncompressedSize,
    },
    cmdline: {
      key: key('cmdline'),
      size: cmdline.size,
      sha256: cmdline.sha256,
      text: record.cmdline.slice(0, LIMITS.cmdline),
    },
    inputs: record.inputs.slice(0, LIMITS.inputs).map(({ location, reference, digest, verifiedBy }) => {
      const found = build.verifiedBy ?? {};
      const signer = Object.hasOwn(found, location) ? found[location] : verifiedBy?.signer;
      return {
        location: location.slice(0, LIMITS.location),
        reference: reference.slice(0, LIMITS.reference),
        digest,
        ...(signer === undefined ? {} : { verifiedBy: signer.slice(0, LIMITS.verifiedBy) }),
      };
    }),
    created: record.created,
    reason: build.reason,
    buildHash: build.hash,
  };
}

function bootImageOf(own: string, digest: Digest, pushed: ImageSpec['bootImage']): Artifact['bootImage'] {
  if (pushed === undefined) return { reference: `${own}@${digest}`, digest };
  const { repository, pullSecretName } = pushed;
  return {
    reference: `${repository}@${digest}`,
    digest,
    repository,
    ...(pullSecretName === undefined ? {} : { pullSecretName }),
  };
}

/**
 * The history after `present` became the artifact: newest first, each digest once, `historyLimit`
 * of them; beyond that only those that a machine still uses.
 */
export function historyWith(
  before: { readonly artifact?: Artifact | undefined; readonly history?: readonly Artifact[] | undefined },
  present: Digest | string | undefined,
  limit: number,
  inUse: ReadonlyMap<string, readonly string[]>,
): readonly Artifact[] {
  const seen = new Set([present]);
  const older = [before.artifact, ...(before.history ?? [])].filter((artifact) => {
    if (artifact === undefined || seen.has(artifact.digest)) return false;
    seen.add(artifact.digest);
    return true;
  });
  let inputs = 0;
  return older
    .flatMap((artifact) => artifact ?? [])
    .filter((artifact, index) => index < limit || inUse.has(artifact.digest))
    .slice(0, HISTORY_CEILING)
    .map((artifact) => {
      inputs += artifact.inputs.length;
      return inputs > HISTORY_INPUTS && artifact.inputs.length > 0 ? { ...artifact, inputs: [] } : artifact;
    });
}

/** The schema allows no more. */
const HISTORY_CEILING = 50;
