import { GenericContainer, Wait } from 'testcontainers';
import { type Reporter, silentReporter } from '../progress/reporter.ts';
import { ensureServiceImage } from './service-image.ts';

/** An OCI registry over plain HTTP. */
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
    })
    .withCopyContentToContainer([{ content: passwordFile, target: '/etc/htpasswd' }])
    .withTmpFs({ '/var/lib/registry': 'rw' })
    .withExposedPorts(5000)
    .withWaitStrategy(Wait.forHttp('/v2/', 5000).forStatusCode(authentication ? 401 : 200))
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
