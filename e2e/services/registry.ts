import { GenericContainer, Wait } from 'testcontainers';
import { type Reporter, silentReporter } from '../progress/reporter.ts';
import { ensureServiceImage } from './service-image.ts';

/** An OCI registry, over plain HTTP unless it was given a certificate. */
export interface RegistryService {
  /** `127.0.0.1:PORT`, as in image references; from elsewhere, the same port of this machine. */
  readonly host: string;
  readonly port: number;
  /** Set when the registry asks for them. */
  readonly credentials: { readonly username: string; readonly password: string } | undefined;
  /** Ends the registry; its images are gone with it. */
  stop(): Promise<void>;
}

/** How a registry is started. */
export interface RegistryOptions {
  /** Ask for a user name and password (HTTP basic authentication). Default false. */
  readonly authentication?: boolean;
  /** In PEM: speak TLS alone. It has to hold for 127.0.0.1. */
  readonly certificate?: { readonly cert: string; readonly key: string };
}

const credentials = { username: 'puller', password: 'puller-password' };
const passwordFile = 'puller:$2a$05$JEash4AELvJdfJioONFA.OV.IrVAM1QOVDj.RwKwnxAvn8oDRHUB6\n';

/**
 * Starts the CNCF distribution registry in a container, its blobs in memory.
 * @throws Failure `EngineUnavailable` without a Docker engine.
 */
export async function startRegistry(
  options: RegistryOptions = {},
  reporter: Reporter = silentReporter,
  signal: AbortSignal = AbortSignal.timeout(900_000),
): Promise<RegistryService> {
  const image = await ensureServiceImage(
    {
      tool: 'registry',
      overrideVariable: 'LINUXKIT_TEST_REGISTRY_IMAGE',
      files: { '/etc/distribution/config.yml': configuration },
      command: ['serve', '/etc/distribution/config.yml'],
    },
    reporter,
    signal,
  );
  const authentication = options.authentication === true;
  const { certificate } = options;
  const files = [{ content: passwordFile, target: '/etc/htpasswd' }];
  if (certificate !== undefined)
    files.push(
      { content: certificate.cert, target: '/etc/registry.crt' },
      { content: certificate.key, target: '/etc/registry.key' },
    );
  const ready = Wait.forHttp('/v2/', 5000).forStatusCode(authentication ? 401 : 200);
  const container = await new GenericContainer(image)
    .withEnvironment({
      OTEL_TRACES_EXPORTER: 'none',
      REGISTRY_STORAGE_DELETE_ENABLED: 'true',
      ...(authentication
        ? {
            REGISTRY_AUTH: 'htpasswd',
            REGISTRY_AUTH_HTPASSWD_REALM: 'test',
            REGISTRY_AUTH_HTPASSWD_PATH: '/etc/htpasswd',
          }
        : {}),
      ...(certificate === undefined
        ? {}
        : {
            REGISTRY_HTTP_TLS_CERTIFICATE: '/etc/registry.crt',
            REGISTRY_HTTP_TLS_KEY: '/etc/registry.key',
          }),
    })
    .withCopyContentToContainer(files)
    .withTmpFs({ '/var/lib/registry': 'rw' })
    .withExposedPorts(5000)
    // That its authority is trusted is for tests to show.
    .withWaitStrategy(certificate === undefined ? ready : ready.usingTls().allowInsecure())
    .withStartupTimeout(60_000)
    .start();
  const port = container.getMappedPort(5000);
  return {
    host: `${container.getHost()}:${port}`,
    port,
    credentials: authentication ? credentials : undefined,
    stop: async () => {
      await container.stop();
    },
  };
}

const configuration = `version: 0.1
log:
  level: info
storage:
  filesystem:
    rootdirectory: /var/lib/registry
http:
  addr: :5000
`;
