import type { Artifact, BuildReason, ImageSpec } from '../../api/image.ts';
import type { BuildRecord, FileRecord } from '../../build/record.ts';
import type { Digest } from '../../oci/types.ts';
import { type ArtifactFile, artifactKey, inNamespace } from '../../storage/layout.ts';

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
    /** The record as it is stored. */
    readonly recordFile?: FileRecord;
  },
): Artifact {
  const { namespace, name } = image;
  const { kernel, cmdline, 'initrd.img': initrd } = record.files;
  const key = (file: ArtifactFile): string => inNamespace(namespace, artifactKey(name, record.digest, file));
  const told = (file: ArtifactFile, stored: FileRecord | undefined): Artifact['kernel'] | undefined =>
    stored && { key: key(file), size: stored.size, sha256: stored.sha256 };
  const sbom = told('sbom.spdx.json', record.files['sbom.spdx.json']);
  const provenance = told('provenance.json', record.files['provenance.json']);
  const own = told('build.json', build.recordFile);
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
    ...(sbom === undefined ? {} : { sbom }),
    ...(provenance === undefined ? {} : { provenance }),
    ...(own === undefined ? {} : { record: own }),
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
