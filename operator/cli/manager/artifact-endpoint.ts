import type { S3Client } from '@aws-sdk/client-s3';
import { IMAGES } from '../../controllers/image/objects.ts';
import { messageOf } from '../../errors.ts';
import type { ApiClient } from '../../runtime/api-client.ts';
import { validityOf } from '../../runtime/certificate.ts';
import { SYSTEM_CLOCK, sleep } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/logger.ts';
import { JOBS, PODS } from '../../runtime/resources.ts';
import { type ServingBundle, ServingCertificate } from '../../runtime/serving-certificate.ts';
import { createArtifactEndpoint } from '../../storage/endpoint/endpoint.ts';
import type { ClusterView } from '../../storage/endpoint/identity.ts';
import type { ArtifactServer, ArtifactServerOptions } from '../../storage/endpoint/server.ts';
import type { CacheSharing } from '../../storage/layout.ts';
import { S3Presigner } from '../../storage/s3/presign.ts';
import type { ObjectStore } from '../../storage/store.ts';

const RETRY_MS = 2_000;

export interface EndpointParts {
  readonly client: ApiClient;
  readonly s3: S3Client;
  readonly bucket: string;
  readonly store: ObjectStore;
  readonly cacheSharing: CacheSharing;
  readonly logger: Logger;
  readonly observe: NonNullable<ArtifactServerOptions['observe']>;
}

export interface EndpointPlace {
  readonly listen: string;
  readonly port: number;
  readonly url: string;
  readonly secret: { readonly namespace: string; readonly name: string };
  /** Whether somebody else fills that Secret. */
  readonly given: boolean;
}

/** The artifact endpoint as every replica serves it, with a certificate that they share. */
export class ArtifactEndpoint implements AsyncDisposable {
  readonly #server: ArtifactServer;
  readonly #certificate: ServingCertificate;
  #bundle: ServingBundle;

  private constructor(server: ArtifactServer, certificate: ServingCertificate, bundle: ServingBundle) {
    this.#server = server;
    this.#certificate = certificate;
    this.#bundle = bundle;
  }

  /** Waits for the certificate, then listens. Rejects when the signal aborts, or the port is taken. */
  static async start(
    parts: EndpointParts,
    place: EndpointPlace,
    signal: AbortSignal,
  ): Promise<ArtifactEndpoint> {
    const { client, logger } = parts;
    const host = new URL(place.url).hostname.replace(/^\[|\]$/g, '');
    const certificate = new ServingCertificate(client, {
      secret: place.secret,
      names: [host],
      given: place.given,
      logger,
    });
    const bundle = await untilDone(() => certificate.ensure(signal), logger, signal);
    const server = createArtifactEndpoint({
      certificate: { cert: bundle.cert, key: bundle.key },
      store: parts.store,
      presigner: new S3Presigner(parts.s3, parts.bucket),
      cluster: clusterView(client),
      cacheSharing: parts.cacheSharing,
      log: logger,
      observe: parts.observe,
    });
    const port = await server.listen(place.port, place.listen);
    logger.info('artifact endpoint listens', { address: place.listen, port, url: place.url });
    return new ArtifactEndpoint(server, certificate, bundle);
  }

  /** PEM of the authorities that build pods are told to trust. */
  get caBundle(): string {
    return this.#bundle.caBundle;
  }

  /** When the certificate ends, in milliseconds since the epoch. */
  get expiresAt(): number {
    return validityOf(this.#bundle.cert).to;
  }

  /** Keeps the certificate fresh until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#certificate.run(signal, this.#bundle, (bundle) => {
      this.#server.setCertificate({ cert: bundle.cert, key: bundle.key });
      this.#bundle = bundle;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.close();
  }
}

/** Asks the API server each time: a pod that was deleted a moment ago has no right left. */
function clusterView(client: ApiClient): ClusterView {
  return {
    createTokenReview: (token, audiences, options) => client.createTokenReview(token, audiences, options),
    findPod: (key, options) => client.find(PODS, key, options),
    findJob: (key, options) => client.findMetadata(JOBS, key, options),
    findImage: (key, options) => client.findMetadata(IMAGES, key, options),
  };
}

async function untilDone<T>(work: () => Promise<T>, logger: Logger, signal: AbortSignal): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (signal.aborted) throw error;
      logger.warn('there is no serving certificate yet', { error: messageOf(error) });
      await sleep(SYSTEM_CLOCK, RETRY_MS, signal);
    }
  }
}
