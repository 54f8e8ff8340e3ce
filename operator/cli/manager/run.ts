import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { GROUP } from '../../api/names.ts';
import { quantityValue } from '../../api/quantity.ts';
import { StorageProbe } from '../../bootregistry/storage-probe.ts';
import { ENGINE_SALTS } from '../../build/salts.ts';
import { BuildQueue } from '../../controllers/image/build-queue.ts';
import { CacheSweep } from '../../controllers/image/cache-sweep.ts';
import { imageCaches } from '../../controllers/image/caches.ts';
import { createImageController } from '../../controllers/image/controller.ts';
import { longestWait, queueDepth } from '../../controllers/image/queue.ts';
import { machineCaches } from '../../controllers/machine/caches.ts';
import { censusOf } from '../../controllers/machine/census.ts';
import { machineController } from '../../controllers/machine/controller.ts';
import { RestartLedger } from '../../controllers/machine/restart-ledger.ts';
import { CodedError, messageOf } from '../../errors.ts';
import { ClusterAccess } from '../../runtime/access.ts';
import { ApiClient } from '../../runtime/api-client.ts';
import { SYSTEM_CLOCK } from '../../runtime/clock.ts';
import type { Controller } from '../../runtime/controller.ts';
import { ApiEventRecorder } from '../../runtime/event-recorder.ts';
import { HealthServer } from '../../runtime/health-server.ts';
import { LeaderElector } from '../../runtime/leader-elector.ts';
import { SHARED_NAMESPACE } from '../../storage/layout.ts';
import { ensureBucket, probeBucket } from '../../storage/s3/bucket.ts';
import { createS3Client } from '../../storage/s3/client.ts';
import { s3OptionsFromEnvironment } from '../../storage/s3/options.ts';
import { S3Store } from '../../storage/s3/s3-store.ts';
import { LogLevelFile } from '../../telemetry/log-level-file.ts';
import { createLogger, type Logger } from '../../telemetry/logger.ts';
import { Metrics } from '../../telemetry/metrics.ts';
import { startTracing } from '../../telemetry/tracing.ts';
import { readAuthorities } from '../registry-flags.ts';
import { engineName, engineVersion } from '../version.ts';
import { ArtifactEndpoint } from './artifact-endpoint.ts';
import { firstProblem, stuckWorker } from './health.ts';
import { countImageStates, keptArtifacts, oldestBuildSeconds } from './image-states.ts';
import { countRolloutStates } from './rollout-states.ts';
import type { ManagerSettings } from './settings.ts';
import { storageCredentials } from './storage-credentials.ts';

export class ManagerError extends CodedError<'LeadershipLost'> {}

/**
 * Runs a manager until `stop` aborts: probes and metrics at once, the artifact endpoint and the caches
 * in every replica, the controllers in the one that leads. Throws `LeadershipLost` when another may
 * lead from now on: the process must end then, and be started anew.
 */
export async function runManager(settings: ManagerSettings, stop: AbortSignal): Promise<void> {
  const logger = createLogger({ level: settings.logLevel });
  const levels =
    settings.logLevelFile === undefined ? undefined : new LogLevelFile(logger, settings.logLevelFile);
  await levels?.read();
  const metrics = new Metrics({ version: engineVersion() });
  const checks = new Map<string, () => string | undefined>([['started', () => 'not yet']]);
  const controllers: Controller[] = [];
  await using tracing = await startTracing({
    environment: process.env,
    service: 'linuxkit-operator',
    version: engineVersion(),
    attributes: { 'k8s.pod.name': settings.identity ?? hostname() },
    logger,
  });
  const { tracer } = tracing;
  await using health = await HealthServer.start({
    host: settings.healthListen,
    port: settings.healthPort,
    live: [{ name: 'workers', check: () => stuckWorker(controllers) }],
    ready: [{ name: 'manager', check: () => firstProblem(checks) }],
    metrics: () => metrics.page(),
  });
  logger.info('manager starts', { version: engineVersion(), health: health.port });

  await using access = ClusterAccess.load({
    ...(settings.kubeconfig === undefined ? {} : { file: settings.kubeconfig }),
    ...(settings.context === undefined ? {} : { context: settings.context }),
  });
  const client = new ApiClient(access, { userAgent: engineName(), metrics: metrics.client });
  const namespace = settings.namespace ?? access.namespace;
  // A name of its own for each start: a container that was restarted must not take itself for its predecessor.
  const identity = `${settings.identity ?? hostname()}_${randomBytes(4).toString('hex')}`;

  // Everything below ends with this: a part that fails takes the others with it.
  const failed = new AbortController();
  const signal = AbortSignal.any([stop, failed.signal]);
  const parts: Promise<void>[] = [];
  const run = (name: string, part: Promise<unknown>): void => {
    const watched = part.then(
      () => undefined,
      (error: unknown) => {
        if (!signal.aborted)
          logger.error('a part of the manager failed', { part: name, error: messageOf(error) });
        failed.abort(error);
      },
    );
    parts.push(watched);
  };

  if (levels !== undefined) run('log level', levels.follow(signal));
  const where = settings.watchNamespace === undefined ? {} : { namespace: settings.watchNamespace };
  const common = { ...where, logger, metrics: metrics.watch };
  const caches = imageCaches(client, common);
  const fleet = machineCaches(client, common, { images: caches.images, machines: caches.machines });
  const limits = {
    cluster: settings.maxRestarts,
    namespace: settings.maxRestartsPerNamespace,
    node: settings.maxRestartsPerNode,
  };
  const ledger = new RestartLedger(limits, () => fleet.machines.list());
  const queue = new BuildQueue(
    { cluster: settings.maxBuilds, namespace: settings.maxBuildsPerNamespace },
    caches,
  );
  const informers = new Set([...Object.values(caches), ...Object.values(fleet)]);
  for (const informer of informers) run('cache', informer.run(signal));
  // KubeVirt's kinds are not waited for: without KubeVirt, machines say so and images build all the same.
  checks.set('caches', () =>
    Object.values(caches).every(({ hasSynced }) => hasSynced) ? undefined : 'are being filled',
  );
  metrics.onScrape(() => {
    const images = caches.images.list();
    metrics.images.states(countImageStates(images));
    metrics.images.artifacts(keptArtifacts(images));
    metrics.images.oldestBuild(oldestBuildSeconds(images, caches.jobs.list(), Date.now()));
    const waiting = queue.view(Date.now());
    metrics.images.queueDepth(queueDepth(waiting.waiting));
    metrics.images.oldestWaiting(longestWait(waiting));
    metrics.machines.rollouts(countRolloutStates(fleet.machines.list()));
    const { states, digests } = censusOf(fleet.machines.list());
    metrics.machines.states(states);
    metrics.machines.digests(digests);
    metrics.machines.starting(ledger.counts(Date.now()));
    for (const { queue } of controllers) queue.observe();
  });

  try {
    const options = await storageOptions(settings, client, namespace, logger, signal);
    const s3 = createS3Client(options);
    const store = new S3Store(s3, options.bucket);
    using probe = new StorageProbe(async (deadline) => {
      await ensureBucket(s3, options, deadline);
      await probeBucket(s3, options.bucket, deadline);
    });
    checks.set('storage', () => probe.problem);
    run('storage probe', probe.start());
    metrics.onScrape(() => metrics.storageReachable(probe.problem === undefined));

    const url = `https://${settings.artifactsHost}`;
    await using endpoint = await ArtifactEndpoint.start(
      {
        client,
        s3,
        bucket: options.bucket,
        store,
        cacheSharing: settings.cacheSharing,
        logger,
        observe: metrics.endpoint.request,
      },
      {
        listen: settings.artifactsListen,
        port: settings.artifactsPort,
        url,
        secret: { namespace, name: settings.certificateSecret },
        given: settings.certificateGiven,
      },
      signal,
    );
    run('serving certificate', endpoint.run(signal));
    metrics.onScrape(() => metrics.endpoint.certificateEnds(endpoint.expiresAt / 1000));

    const registries = {
      insecureRegistries: settings.insecureRegistry,
      registryMirrors: settings.registryMirror,
      registryAuthorities: await readAuthorities(settings.registryCa),
      limits: settings.buildLimit,
    };
    const recorder = (name: string): ApiEventRecorder => {
      const made = new ApiEventRecorder(client, {
        controller: `${GROUP}/${name}`,
        instance: identity,
        logger,
      });
      run('events', made.run(signal));
      return made;
    };
    controllers.push(
      createImageController(
        {
          client,
          caches,
          store,
          events: recorder('image-controller'),
          metrics: metrics.images,
          queue,
          salts: ENGINE_SALTS,
          registries,
          graceMs: settings.artifactGrace,
          jobTtlMs: settings.jobTtl,
          // Build pods upload to storage itself, whose authority they must trust too.
          endpoint: () => ({ url, caBundle: `${endpoint.caBundle}${options.caBundle ?? ''}` }),
          builder: {
            image: settings.builderImage,
            imagePullPolicy: settings.builderImagePullPolicy,
            imagePullSecrets: settings.builderImagePullSecret,
            serviceAccount: settings.builderServiceAccount,
            args: ['build-job'],
            resources: settings.builderResources,
            workSize: settings.builderWorkSize,
            nodeSelector: settings.builderNodeSelector,
            tolerations: settings.builderTolerations,
            ...(settings.builderPriorityClass === undefined
              ? {}
              : { priorityClassName: settings.builderPriorityClass }),
            ...(settings.builderTraceEndpoint === undefined
              ? {}
              : { traceEndpoint: settings.builderTraceEndpoint }),
            proxy: {
              ...(settings.builderHttpProxy === undefined ? {} : { http: settings.builderHttpProxy }),
              ...(settings.builderHttpsProxy === undefined ? {} : { https: settings.builderHttpsProxy }),
              ...(settings.builderNoProxy === undefined ? {} : { none: settings.builderNoProxy }),
            },
          },
        },
        { logger, metrics, tracer, workers: settings.workers },
      ),
      machineController({
        ...where,
        client,
        caches: fleet,
        recorder: recorder('machine-controller'),
        render: settings.bootRegistry === false ? {} : { bootRegistryHost: settings.bootRegistry },
        ledger,
        machineMetrics: metrics.machines,
        logger,
        metrics,
        tracer,
        workers: settings.workers,
      }),
    );
    const cacheSweep = new CacheSweep({
      store,
      limits: {
        maxAgeMs: settings.cacheMaxAge,
        maxBytes: quantityValue(settings.cacheMaxSize) ?? Number.POSITIVE_INFINITY,
      },
      // What the cluster shares is looked through also when it no longer does.
      namespaces: () =>
        new Set([...caches.images.list().map(({ metadata }) => metadata.namespace ?? ''), SHARED_NAMESPACE]),
      isBuilding: (each) => queue.isBuilding(each === SHARED_NAMESPACE ? undefined : each, Date.now()),
      metrics: metrics.images,
      logger,
      clock: SYSTEM_CLOCK,
      random: Math.random,
    });
    const elector = new LeaderElector(client, {
      lease: { namespace, name: settings.lease },
      identity,
      logger,
      metrics: metrics.election,
    });
    checks.delete('started');
    const term = await elector.run(signal, async (leading) => {
      await Promise.all([...controllers, cacheSweep].map((each) => each.run(leading)));
    });
    if (term === 'lost')
      throw new ManagerError('LeadershipLost', 'another replica may lead now: this one ends');
    signal.throwIfAborted();
  } catch (error) {
    if (!signal.aborted || failed.signal.aborted) throw failed.signal.aborted ? failed.signal.reason : error;
  } finally {
    logger.info('manager stops');
    failed.abort(new Error('the manager stops'));
    await Promise.all(parts);
  }
}

async function storageOptions(
  settings: ManagerSettings,
  client: ApiClient,
  namespace: string,
  logger: Logger,
  signal: AbortSignal,
): Promise<ReturnType<typeof s3OptionsFromEnvironment>> {
  const options = s3OptionsFromEnvironment(process.env);
  if (settings.storageCredentialsSecret === undefined) return options;
  const key = { namespace, name: settings.storageCredentialsSecret };
  return { ...options, credentials: await storageCredentials(client, key, { logger, signal }) };
}
