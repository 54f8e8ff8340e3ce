import { type Command, InvalidArgumentError, Option } from 'commander';
import * as z from 'zod';
import { durationMilliseconds } from '../../api/duration.ts';
import { quantity, quantityValue } from '../../api/quantity.ts';
import { tolerations } from '../../api/scheduling.ts';
import type { BuilderSettings } from '../../controllers/image/job.ts';
import type { LimitSettings } from '../../oci/limits.ts';
import { proxyFromEnvironment } from '../../oci/registry/proxy.ts';
import { CACHE_SHARING, type CacheSharing } from '../../storage/layout.ts';
import { LOG_LEVELS, type LogLevel } from '../../telemetry/logger.ts';
import { LIMIT_HELP, limitFlag } from '../limit-flag.ts';
import { type AuthorityFlags, authorityFlag, type MirrorFlags, mirrorFlag } from '../registry-flags.ts';

/** Everything that a manager is told when it is started. Durations in milliseconds. */
export interface ManagerSettings {
  readonly kubeconfig?: string;
  readonly context?: string;
  /** The operator's own namespace: its lease and Secrets are there. */
  readonly namespace?: string;
  readonly watchNamespace?: string;
  readonly identity?: string;
  readonly lease: string;
  readonly healthListen: string;
  readonly healthPort: number;
  readonly artifactsListen: string;
  readonly artifactsPort: number;
  /** `HOST[:PORT]`. */
  readonly artifactsHost: string;
  readonly certificateSecret: string;
  readonly certificateGiven: boolean;
  readonly storageCredentialsSecret?: string;
  readonly builderImage: string;
  readonly builderImagePullPolicy: 'Always' | 'IfNotPresent' | 'Never';
  readonly builderImagePullSecret: readonly string[];
  readonly builderServiceAccount: string;
  readonly builderResources: BuilderSettings['resources'];
  readonly builderWorkSize: string;
  readonly builderNodeSelector: Readonly<Record<string, string>>;
  readonly builderTolerations: NonNullable<BuilderSettings['tolerations']>;
  readonly builderPriorityClass?: string;
  readonly insecureRegistry: readonly string[];
  readonly registryMirror: MirrorFlags;
  /** Files, by registry. */
  readonly registryCa: AuthorityFlags;
  /** Of builds. */
  readonly buildLimit: LimitSettings;
  readonly builderHttpProxy?: string;
  readonly builderHttpsProxy?: string;
  readonly builderNoProxy?: string;
  readonly builderTraceEndpoint?: string;
  /** `HOST:PORT`; false where nodes run none. */
  readonly bootRegistry: string | false;
  readonly jobTtl: number;
  readonly artifactGrace: number;
  readonly workers: number;
  /** Builds at once; 0: no bound. */
  readonly maxBuilds: number;
  readonly maxBuildsPerNamespace: number;
  readonly cacheSharing: CacheSharing;
  readonly cacheMaxAge: number;
  /** A quantity of bytes. */
  readonly cacheMaxSize: string;
  /** Machines that may be on their way up at once by the operator's doing; 0: no bound. */
  readonly maxRestarts: number;
  readonly maxRestartsPerNamespace: number;
  readonly maxRestartsPerNode: number;
  readonly logLevel: LogLevel;
  readonly logLevelFile?: string;
}

/** Adds the manager's flags; each may also be given as the environment variable that its help names. */
export function addManagerOptions(command: Command): Command {
  const flag = (flags: string, description: string): Option => {
    const option = new Option(flags, description);
    return option.env(`LINUXKIT_${option.name().replaceAll('-', '_').toUpperCase()}`);
  };
  const options = [
    new Option('--kubeconfig <file>', "instead of KUBECONFIG, or the pod's own service account"),
    flag('--context <name>', 'context of the kubeconfig'),
    new Option('--namespace <name>', 'namespace of the operator itself').env('POD_NAMESPACE'),
    flag('--watch-namespace <name>', 'namespace of images and machines; all if left out'),
    new Option('--identity <name>', 'name among the replicas').env('POD_NAME'),
    flag('--lease <name>', 'Lease that the replicas share').default('linuxkit-operator'),
    flag('--health-listen <address>', 'address for /healthz, /readyz and /metrics').default('0.0.0.0'),
    flag('--health-port <number>', 'port for these').argParser(port).default(8081),
    flag('--artifacts-listen <address>', 'address of the artifact endpoint').default('0.0.0.0'),
    flag('--artifacts-port <number>', 'port of the artifact endpoint').argParser(port).default(8443),
    flag('--artifacts-host <host[:port]>', 'under which build pods reach the artifact endpoint')
      .argParser(authority)
      .makeOptionMandatory(),
    flag(
      '--certificate-secret <name>',
      "Secret for the endpoint's certificate, in the own namespace",
    ).default('linuxkit-operator-artifacts-tls'),
    flag(
      '--certificate-given',
      'that Secret is filled by somebody else, cert-manager for one: tls.crt, tls.key, ca.crt',
    ).default(false),
    flag(
      '--storage-credentials-secret <name>',
      'Secret in the own namespace with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, filled with random ones while it is empty',
    ),
    flag('--builder-image <reference>', 'image of build pods: this program').makeOptionMandatory(),
    flag('--builder-image-pull-policy <policy>', 'of build pods')
      .choices(['Always', 'IfNotPresent', 'Never'])
      .default('IfNotPresent'),
    flag(
      '--builder-image-pull-secret <name>',
      "Secret in each image's namespace for the builder image; repeatable",
    )
      .argParser(list)
      .default([]),
    flag('--builder-service-account <name>', 'service account of build pods; it needs no rights').default(
      'default',
    ),
    flag(
      '--builder-resources <json>',
      '{"requests":{…},"limits":{…}} of build pods, where their images say nothing',
    )
      .argParser(resources)
      .default({ requests: { cpu: '250m', memory: '256Mi' }, limits: { memory: '1Gi' } }),
    flag('--builder-work-size <quantity>', "limit of a build's scratch volume")
      .argParser(size)
      .default('20Gi'),
    flag('--builder-node-selector <label=value>', 'nodes that builds run on; repeatable')
      .argParser(pairs)
      .default({}),
    flag('--builder-tolerations <json>', '[{"key":…,"operator":…}] of build pods, besides those of an image')
      .argParser(tolerationList)
      .default([]),
    flag('--builder-priority-class <name>', 'of build pods whose images name none'),
    flag(
      '--insecure-registry <host[:port]>',
      'registry to speak plain HTTP with, besides loopback; repeatable',
    )
      .argParser(list)
      .default([]),
    flag(
      '--registry-mirror <registry=mirror>',
      'where builds ask before the registry itself, as host[:port][/path]; repeatable, in their order',
    )
      .argParser(mirrorFlag)
      .default({}),
    flag(
      '--registry-ca <registry=file>',
      "authorities of a registry's certificate besides the system's, in PEM; * for all registries; repeatable",
    )
      .argParser(authorityFlag)
      .default({}),
    flag('--build-limit <name=number>', LIMIT_HELP).argParser(limitFlag).default({}),
    flag(
      '--builder-http-proxy <url>',
      'proxy by way of which builds reach registries over plain HTTP',
    ).argParser(proxy),
    flag('--builder-https-proxy <url>', 'the same for registries that are spoken to by TLS').argParser(proxy),
    flag(
      '--builder-no-proxy <list>',
      'hosts, domains and networks that builds reach without, with commas between',
    ),
    flag(
      '--builder-trace-endpoint <url>',
      'where builds send the rest of a trace that begins here, by OTLP over HTTP; nowhere if left out',
    ).argParser(traceEndpoint),
    flag('--boot-registry <host:port>', "where a node's runtime reaches the boot registry").default(
      '127.0.0.1:5117',
    ),
    flag('--no-boot-registry', 'nodes run none: machines boot what their images have had pushed elsewhere'),
    flag('--job-ttl <duration>', 'how long a build Job that ended is kept')
      .argParser(duration)
      .default(3_600_000, '1h'),
    flag('--artifact-grace <duration>', 'nothing younger is removed from storage')
      .argParser(duration)
      .default(3_600_000, '1h'),
    flag('--workers <number>', 'objects that a controller works on at once').argParser(count).default(4),
    flag('--max-builds <number>', 'builds at once in the whole cluster; 0: no bound')
      .argParser(bound)
      .default(10),
    flag('--max-builds-per-namespace <number>', 'the same in one namespace').argParser(bound).default(4),
    flag('--cache-sharing <scope>', "whose builds use each other's cache entries")
      .choices(CACHE_SHARING)
      .default('Namespace'),
    flag('--cache-max-age <duration>', "older entries of a namespace's build cache are removed")
      .argParser(duration)
      .default(720 * 3_600_000, '720h'),
    flag('--cache-max-size <quantity>', "what a namespace's build cache may take up in storage")
      .argParser(size)
      .default('20Gi'),
    flag('--max-restarts <number>', 'virtual machines restarted at once in the whole cluster; 0: no bound')
      .argParser(bound)
      .default(10),
    flag('--max-restarts-per-namespace <number>', 'the same in one namespace').argParser(bound).default(0),
    flag('--max-restarts-per-node <number>', 'the same on one node').argParser(bound).default(3),
    flag('--log-level <level>', 'what is logged').choices(LOG_LEVELS).default('info'),
    flag('--log-level-file <file>', 'file whose level counts instead, read again every few seconds'),
  ];
  for (const option of options) command.addOption(option);
  return command;
}

function port(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 0 || number > 65_535)
    throw new InvalidArgumentError('Not a port.');
  return number;
}

function count(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1 || number > 256)
    throw new InvalidArgumentError('Not between 1 and 256.');
  return number;
}

function bound(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 0 || number > 100_000)
    throw new InvalidArgumentError('Not between 0 and 100000.');
  return number;
}

function authority(text: string): string {
  const url = `https://${text}`;
  if (!URL.canParse(url) || new URL(url).pathname !== '/' || url.endsWith('/'))
    throw new InvalidArgumentError('Not HOST[:PORT].');
  return text;
}

function proxy(text: string): string {
  let url: URL | undefined;
  try {
    url = proxyFromEnvironment({ HTTP_PROXY: text }).http;
  } catch {
    throw new InvalidArgumentError('Not the address of a proxy, such as http://proxy.example:3128.');
  }
  if (url?.username !== '' || url.password !== '')
    throw new InvalidArgumentError('A proxy with credentials: whoever may read Jobs would see them.');
  return text;
}

function traceEndpoint(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol))
    throw new InvalidArgumentError('Not an address such as http://collector.example:4318.');
  if (url.username !== '' || url.password !== '' || url.search !== '')
    throw new InvalidArgumentError('An address with credentials: whoever may read Jobs would see them.');
  return text;
}

function duration(text: string): number {
  const ms = durationMilliseconds(text);
  if (ms === undefined) throw new InvalidArgumentError('Not a duration such as 90s or 1h30m.');
  return ms;
}

function size(text: string): string {
  if (quantityValue(text) === undefined) throw new InvalidArgumentError('Not a quantity such as 20Gi.');
  return text;
}

const quantities = z.record(z.string(), quantity).optional();
const resourceList = z.strictObject({ requests: quantities, limits: quantities });

function resources(text: string): BuilderSettings['resources'] {
  const parsed = resourceList.safeParse(parsedJson(text));
  if (!parsed.success)
    throw new InvalidArgumentError(`Not resource requirements: ${z.prettifyError(parsed.error)}`);
  const { requests, limits } = parsed.data;
  return { ...(requests === undefined ? {} : { requests }), ...(limits === undefined ? {} : { limits }) };
}

function tolerationList(text: string): ManagerSettings['builderTolerations'] {
  const parsed = tolerations.safeParse(parsedJson(text));
  if (!parsed.success) throw new InvalidArgumentError(`Not tolerations: ${z.prettifyError(parsed.error)}`);
  // Came of JSON, which has nothing that is undefined.
  return parsed.data as ManagerSettings['builderTolerations'];
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new InvalidArgumentError('Not JSON.');
  }
}

/** What `pairs` and `list` have made, as opposed to a default, which the first value replaces. */
const given = new WeakSet<object>();

function pairs(text: string, before: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const collected = { ...(given.has(before) ? before : {}) };
  for (const pair of text.split(',')) {
    const equals = pair.indexOf('=');
    if (equals < 1) throw new InvalidArgumentError('Not NAME=VALUE.');
    collected[pair.slice(0, equals).trim()] = pair.slice(equals + 1).trim();
  }
  given.add(collected);
  return collected;
}

function list(text: string, before: readonly string[]): readonly string[] {
  const names = text.split(',').map((name) => name.trim());
  const collected = [...(given.has(before) ? before : []), ...names.filter((name) => name !== '')];
  given.add(collected);
  return collected;
}
