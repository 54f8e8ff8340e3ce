import type { LinuxKitConfig } from '../../linuxkit/schema.ts';
import type { VerificationPolicy } from '../../oci/signatures/policy.ts';
import type { VerifiedSignature } from '../../oci/signatures/verify.ts';
import type { ResolvedImage } from '../../oci/types.ts';
import type { AddedFiles } from '../added-files.ts';
import type { Architecture, BuildRecord, Compression } from '../record.ts';
import { ENGINE_SALTS } from '../salts.ts';
import { sumOf } from '../sum.ts';
import { ociPurl } from './purl.ts';

/** What a build was asked for, and what it was made of. */
export interface ProvenanceInput {
  readonly config: LinuxKitConfig;
  readonly architecture: Architecture;
  /** As asked for; the record says what it came to. */
  readonly compression: 'auto' | Compression;
  readonly images: readonly {
    readonly location: string;
    readonly reference: string;
    readonly image: ResolvedImage;
    readonly verifiedBy?: VerifiedSignature;
  }[];
  /** Files read from beside the configuration. */
  readonly files: AddedFiles['sums'];
  /** Whose signatures counted. */
  readonly verification?: VerificationPolicy | undefined;
}

/** in-toto ResourceDescriptor (attestation spec v1), in the members that are written. */
export interface ResourceDescriptor {
  readonly name: string;
  readonly uri?: string;
  readonly digest: { readonly sha256: string };
  readonly annotations?: Readonly<Record<string, unknown>>;
}

/** in-toto Statement v1 with SLSA provenance v1 (https://slsa.dev/spec/v1.0/provenance). */
export interface ProvenanceStatement {
  readonly _type: 'https://in-toto.io/Statement/v1';
  readonly subject: readonly ResourceDescriptor[];
  readonly predicateType: 'https://slsa.dev/provenance/v1';
  readonly predicate: {
    readonly buildDefinition: {
      readonly buildType: string;
      readonly externalParameters: Readonly<Record<string, unknown>>;
      readonly internalParameters: Readonly<Record<string, unknown>>;
      readonly resolvedDependencies: readonly ResourceDescriptor[];
    };
    readonly runDetails: {
      readonly builder: { readonly id: string; readonly version: Readonly<Record<string, string>> };
      readonly metadata: { readonly invocationId: string };
    };
  };
}

/** docs/evidence.md says what the parameters of this type mean. */
export const BUILD_TYPE = 'https://linuxkit.dev/build/v1';
export const BUILDER_ID = 'https://linuxkit.dev/builder/v1';

/**
 * Says how an artifact came to be. Nothing in it is of the moment: the same inputs give the same
 * statement, so times are left out, and the invocation is named by the hash of the inputs.
 */
export function provenanceStatement(record: BuildRecord, input: ProvenanceInput): ProvenanceStatement {
  const files = ['kernel', 'initrd.img', 'cmdline'] as const;
  return statement(
    {
      engine: record.engine,
      inputsHash: record.inputsHash,
      subject: files.map((name) => ({ name, digest: { sha256: record.files[name].sha256 } })),
      internalParameters: { artifact: record.digest, compression: record.compression },
    },
    input,
  );
}

/** The same of an archive of the root file system. */
export function tarProvenance(
  tar: Pick<BuildRecord, 'engine' | 'inputsHash'> & { readonly name: string; readonly sha256: string },
  input: ProvenanceInput,
): ProvenanceStatement {
  const { engine, inputsHash, name, sha256 } = tar;
  const subject = [{ name, digest: { sha256 } }];
  return statement({ engine, inputsHash, subject, internalParameters: { format: 'tar' } }, input);
}

function statement(
  made: Pick<BuildRecord, 'engine' | 'inputsHash'> &
    Pick<ProvenanceStatement, 'subject'> &
    Pick<ProvenanceStatement['predicate']['buildDefinition'], 'internalParameters'>,
  input: ProvenanceInput,
): ProvenanceStatement {
  return {
    _type: 'https://in-toto.io/Statement/v1',
    subject: made.subject,
    predicateType: 'https://slsa.dev/provenance/v1',
    predicate: {
      buildDefinition: {
        buildType: BUILD_TYPE,
        externalParameters: {
          config: publicConfig(input.config),
          architecture: input.architecture,
          compression: input.compression,
          ...(input.verification === undefined ? {} : { verification: publicPolicy(input.verification) }),
        },
        internalParameters: { ...made.internalParameters, engineSalts: ENGINE_SALTS },
        resolvedDependencies: [
          ...input.images.map((used) => imageDependency(used, input.architecture)),
          ...input.files.map(({ path, mode, sum }) => ({
            name: `files:${path}`,
            digest: { sha256: sum.sha256 },
            annotations: { mode: mode.toString(8).padStart(4, '0') },
          })),
        ],
      },
      runDetails: {
        builder: { id: BUILDER_ID, version: versionOf(made.engine) },
        metadata: { invocationId: made.inputsHash },
      },
    },
  };
}

export function formatProvenance(statement: ProvenanceStatement): Buffer {
  return Buffer.from(`${JSON.stringify(statement, null, 2)}\n`);
}

function imageDependency(
  { location, reference, image, verifiedBy }: ProvenanceInput['images'][number],
  architecture: Architecture,
): ResourceDescriptor {
  return {
    name: location,
    uri: ociPurl(image.reference, image.digest, architecture),
    digest: { sha256: image.digest.slice('sha256:'.length) },
    annotations: {
      reference,
      ...(image.index === undefined ? {} : { index: image.index }),
      ...(verifiedBy === undefined ? {} : { verifiedBy }),
    },
  };
}

/** Keys and the trusted root by their sums: they are long, and whoever checks has them. */
function publicPolicy(policy: VerificationPolicy): Readonly<Record<string, unknown>> {
  const { publicKeys, identities, trustedRoot } = policy;
  const sum = (text: string) => sumOf(Buffer.from(text));
  return {
    ...(publicKeys === undefined ? {} : { publicKeys: publicKeys.map(sum) }),
    ...(identities === undefined ? {} : { identities }),
    ...(trustedRoot === undefined ? {} : { trustedRoot: sum(trustedRoot) }),
  };
}

/** The contents of files are told by their sums alone: they may be secret, and a statement is for showing around. */
function publicConfig(config: LinuxKitConfig): Readonly<Record<string, unknown>> {
  const { files, ...rest } = config;
  if (files === undefined) return rest;
  return {
    ...rest,
    files: files.map(({ contents, ...file }) =>
      contents === undefined ? file : { ...file, contents: sumOf(Buffer.from(contents)) },
    ),
  };
}

/** `name/version`, as engines call themselves. */
function versionOf(engine: string): Readonly<Record<string, string>> {
  const [name = engine, version = ''] = engine.split('/', 2);
  return { [name]: version };
}
