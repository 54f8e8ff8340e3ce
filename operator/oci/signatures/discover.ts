import { messageOf } from '../../errors.ts';
import { descriptors } from '../descriptor.ts';
import { limitExceeded, OciError } from '../errors.ts';
import { parseObject } from '../json-document.ts';
import { formatReference } from '../reference.ts';
import type { ServedDocument } from '../registry/reader.ts';
import type { Descriptor, Digest, ImageReference } from '../types.ts';
import { bundleSignature, type StoredSignature, simpleSignature } from './stored-signature.ts';

/** What of a registry is needed to find signatures. */
export interface SignatureSource {
  fetchDocument(
    reference: ImageReference,
    signal: AbortSignal,
    descriptor?: Descriptor,
  ): Promise<ServedDocument>;
  listReferrers(
    reference: ImageReference,
    digest: Digest,
    artifactType: string,
    signal: AbortSignal,
  ): Promise<readonly Descriptor[]>;
  readBlob(reference: ImageReference, descriptor: Descriptor, signal: AbortSignal): Promise<Buffer>;
}

/** A signature, or why what should be one is none. */
export type Found = StoredSignature | { readonly form: 'damaged'; readonly problem: string };

const BUNDLE = 'application/vnd.dev.sigstore.bundle.v0.3+json';
const SIMPLE_SIGNING = 'application/vnd.dev.cosign.simplesigning.v1+json';

/** Signatures of one image that are looked at. Whoever may push could leave any number. */
export const MAX_SIGNATURES = 64;

/**
 * The signatures of a digest, in both forms in which cosign stores them: bundles that refer to the
 * image (cosign 3), and the manifest tagged `sha256-<digest>.sig` (before). Neither damage nor a failure of
 * the registry hides another signature; failures are thrown at the end.
 */
export async function* findSignatures(
  source: SignatureSource,
  image: ImageReference,
  digest: Digest,
  signal: AbortSignal,
): AsyncGenerator<Found, void, undefined> {
  const name = `image ${formatReference(image)}: signatures of ${digest}`;
  let count = 0;
  for await (const found of allSignatures(source, image, digest, signal)) {
    if (++count > MAX_SIGNATURES) throw limitExceeded('MAX_SIGNATURES', MAX_SIGNATURES, name);
    yield found;
  }
}

async function* allSignatures(
  source: SignatureSource,
  image: ImageReference,
  digest: Digest,
  signal: AbortSignal,
): AsyncGenerator<Found, void, undefined> {
  yield* inTurn(signal, [
    () => referringSignatures(source, image, digest, signal),
    () => taggedSignatures(source, image, digest, signal),
  ]);
}

/** All that any of them finds; a failure of one is thrown when the others are through. */
async function* inTurn(
  signal: AbortSignal,
  searches: readonly (() => AsyncGenerator<Found, void, undefined>)[],
): AsyncGenerator<Found, void, undefined> {
  let failure: unknown;
  for (const search of searches) {
    try {
      yield* search();
    } catch (error) {
      if (signal.aborted || !(error instanceof OciError)) throw error;
      failure ??= error;
    }
  }
  if (failure !== undefined) throw failure;
}

async function* referringSignatures(
  source: SignatureSource,
  image: ImageReference,
  digest: Digest,
  signal: AbortSignal,
): AsyncGenerator<Found, void, undefined> {
  const referrers = await source.listReferrers(image, digest, BUNDLE, signal);
  yield* inTurn(
    signal,
    referrers.map((referrer) => () => bundlesOf(source, image, referrer, signal)),
  );
}

async function* taggedSignatures(
  source: SignatureSource,
  image: ImageReference,
  digest: Digest,
  signal: AbortSignal,
): AsyncGenerator<Found, void, undefined> {
  const { registry, repository } = image;
  const tagged: ImageReference = { registry, repository, tag: `${digest.replace(':', '-')}.sig` };
  let document: ServedDocument;
  try {
    document = await source.fetchDocument(tagged, signal);
  } catch (error) {
    if (error instanceof OciError && error.code === 'ImageNotFound') return;
    throw error;
  }
  for (const layer of layersOf(document)) {
    if (layer.mediaType !== SIMPLE_SIGNING) continue;
    const payload = await source.readBlob(image, layer, signal);
    const signature = simpleSignature(payload, layer.annotations ?? {});
    yield signature ?? { form: 'damaged', problem: `${layer.digest} has no signature in its annotations` };
  }
}

async function* bundlesOf(
  source: SignatureSource,
  image: ImageReference,
  { digest, size, mediaType }: Descriptor,
  signal: AbortSignal,
): AsyncGenerator<Found, void, undefined> {
  const { registry, repository } = image;
  const document = await source.fetchDocument({ registry, repository, digest }, signal, {
    digest,
    size,
    mediaType,
  });
  for (const layer of layersOf(document)) {
    if (layer.mediaType !== BUNDLE) continue;
    const text = (await source.readBlob(image, layer, signal)).toString('utf8');
    try {
      yield bundleSignature(text);
    } catch (error) {
      yield {
        form: 'damaged',
        problem: `${layer.digest} is no sigstore bundle: ${messageOf(error).slice(0, 200)}`,
      };
    }
  }
}

function layersOf({ bytes, where }: ServedDocument): readonly Descriptor[] {
  return descriptors(parseObject(bytes, where), 'layers', where);
}
