import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

const RECONCILE_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const REQUEST_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30];
const QUEUE_BUCKETS = [0.001, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300];
const BOOT_BUCKETS = [1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600];
const BUILD_BUCKETS = [1, 2, 5, 10, 20, 30, 60, 120, 180, 300, 600, 1200, 1800, 3600];

/**
 * The metrics of a manager, under the names that dashboards for controllers already use
 * (controller-runtime, client-go's workqueue and REST client), and ours under `linuxkit_`.
 *
 * Its members have the shapes that the runtime and the controllers ask for; neither knows of
 * Prometheus. No label holds the name of an object: what has no bound does not belong in a label.
 */
export class Metrics {
  readonly registry = new Registry();
  readonly #observers: (() => void)[] = [];

  constructor(options: { readonly version: string; readonly process?: boolean }) {
    if (options.process !== false) collectDefaultMetrics({ register: this.registry });
    this.#gauge('linuxkit_operator_build_info', 'Always 1; says which version runs.', ['version']).set(
      { version: options.version },
      1,
    );
    // Present from the start: an increase of a counter that springs into being at 1 is not seen.
    for (const result of ['succeeded', 'failed']) this.#sweeps.inc({ result }, 0);
    for (const reason of ['history', 'deleted']) this.#artifactsRemoved.inc({ reason }, 0);
    for (const direction of ['pulled', 'stored']) this.#buildBytes.inc({ direction }, 0);
    for (const result of ['hit', 'miss']) this.#cacheRequests.inc({ result }, 0);
    for (const result of ['completed', 'rolled_back', 'halted']) this.#rolloutResults.inc({ result }, 0);
    for (const reason of ['Rollout', 'Rollback', 'Requested']) this.#machineRestarts.inc({ reason }, 0);
  }

  /** Called before each scrape, for figures that are computed when asked for. */
  onScrape(observe: () => void): void {
    this.#observers.push(observe);
  }

  async page(): Promise<{ readonly contentType: string; readonly body: string }> {
    for (const observe of this.#observers) observe();
    return { contentType: this.registry.contentType, body: await this.registry.metrics() };
  }

  #counter<Label extends string>(name: string, help: string, labelNames: readonly Label[]): Counter<Label> {
    return new Counter({ name, help, labelNames: [...labelNames], registers: [this.registry] });
  }

  #gauge<Label extends string>(name: string, help: string, labelNames: readonly Label[]): Gauge<Label> {
    return new Gauge({ name, help, labelNames: [...labelNames], registers: [this.registry] });
  }

  #histogram<Label extends string>(
    name: string,
    help: string,
    labelNames: readonly Label[],
    buckets: number[],
  ): Histogram<Label> {
    return new Histogram({ name, help, labelNames: [...labelNames], buckets, registers: [this.registry] });
  }

  readonly #requests = this.#counter(
    'rest_client_requests_total',
    'Requests to the Kubernetes API by answer (`<error>`: none), method and host.',
    ['code', 'method', 'host'],
  );
  readonly #requestSeconds = this.#histogram(
    'rest_client_request_duration_seconds',
    'Seconds until the Kubernetes API began to answer.',
    ['method', 'host'],
    REQUEST_BUCKETS,
  );
  readonly #requestRetries = this.#counter(
    'rest_client_request_retries_total',
    'Requests sent again because the Kubernetes API asked for it.',
    ['code', 'method', 'host'],
  );

  readonly client = {
    request: (r: {
      readonly method: string;
      readonly host: string;
      readonly code: string;
      readonly seconds: number;
    }): void => {
      this.#requests.inc({ code: r.code, method: r.method, host: r.host });
      this.#requestSeconds.observe({ method: r.method, host: r.host }, r.seconds);
    },
    retry: (r: { readonly method: string; readonly host: string; readonly code: string }): void => {
      this.#requestRetries.inc({ code: r.code, method: r.method, host: r.host });
    },
  };

  readonly #watchRestarts = this.#counter(
    'linuxkit_watch_restarts_total',
    'Watches opened again: expired (as planned), gone (with a new list), error, stale (silent connection).',
    ['resource', 'reason'],
  );
  readonly #watchLists = this.#counter('linuxkit_watch_lists_total', 'Full lists read for a watch.', [
    'resource',
    'reason',
  ]);
  readonly #watchHeard = this.#gauge(
    'linuxkit_watch_last_event_timestamp_seconds',
    'When a watch last heard of the server, bookmarks included.',
    ['resource'],
  );
  readonly #watchCached = this.#gauge('linuxkit_watch_cached_objects', 'Objects held by a watch.', [
    'resource',
  ]);

  readonly watch = {
    restarted: (resource: string, reason: 'expired' | 'gone' | 'error' | 'stale'): void =>
      this.#watchRestarts.inc({ resource, reason }),
    listed: (resource: string, reason: 'start' | 'gone'): void => {
      this.#watchLists.inc({ resource, reason });
      for (const why of ['expired', 'gone', 'error', 'stale'])
        this.#watchRestarts.inc({ resource, reason: why }, 0);
    },
    heard: (resource: string, seconds: number): void => this.#watchHeard.set({ resource }, seconds),
    cached: (resource: string, objects: number): void => this.#watchCached.set({ resource }, objects),
  };

  readonly #leading = this.#gauge('leader_election_master_status', '1 while this process leads.', ['name']);

  readonly election = {
    leading: (name: string, is: boolean): void => this.#leading.set({ name }, is ? 1 : 0),
  };

  readonly #queueDepth = this.#gauge('workqueue_depth', 'Keys ready for work.', ['name', 'controller']);
  readonly #queueAdds = this.#counter('workqueue_adds_total', 'Keys added.', ['name', 'controller']);
  readonly #queueWaited = this.#histogram(
    'workqueue_queue_duration_seconds',
    'Seconds from being added to being taken.',
    ['name', 'controller'],
    QUEUE_BUCKETS,
  );
  readonly #queueWorked = this.#histogram(
    'workqueue_work_duration_seconds',
    'Seconds of work on a key.',
    ['name', 'controller'],
    QUEUE_BUCKETS,
  );
  readonly #queueUnfinished = this.#gauge(
    'workqueue_unfinished_work_seconds',
    'Seconds of work in progress, summed.',
    ['name', 'controller'],
  );
  readonly #queueLongest = this.#gauge(
    'workqueue_longest_running_processor_seconds',
    'Seconds of the longest work in progress.',
    ['name', 'controller'],
  );
  readonly #queueRetries = this.#counter('workqueue_retries_total', 'Keys put back with a wait.', [
    'name',
    'controller',
  ]);

  queue(name: string): {
    added(): void;
    retried(): void;
    depth(keys: number): void;
    waited(seconds: number): void;
    worked(seconds: number): void;
    unfinished(sum: number, longest: number): void;
  } {
    const labels = { name, controller: name };
    return {
      added: () => this.#queueAdds.inc(labels),
      retried: () => this.#queueRetries.inc(labels),
      depth: (keys) => this.#queueDepth.set(labels, keys),
      waited: (seconds) => this.#queueWaited.observe(labels, seconds),
      worked: (seconds) => this.#queueWorked.observe(labels, seconds),
      unfinished: (sum, longest) => {
        this.#queueUnfinished.set(labels, sum);
        this.#queueLongest.set(labels, longest);
      },
    };
  }

  readonly #reconciles = this.#counter('controller_runtime_reconcile_total', 'Reconciles by result.', [
    'controller',
    'result',
  ]);
  readonly #reconcileErrors = this.#counter(
    'controller_runtime_reconcile_errors_total',
    'Reconciles that failed.',
    ['controller'],
  );
  readonly #reconcileTerminal = this.#counter(
    'controller_runtime_terminal_reconcile_errors_total',
    'Reconciles that failed in a way that only a change mends.',
    ['controller'],
  );
  readonly #reconcilePanics = this.#counter(
    'controller_runtime_reconcile_panics_total',
    'Reconciles that threw what no part of the program declares.',
    ['controller'],
  );
  readonly #reconcileTimeouts = this.#counter(
    'controller_runtime_reconcile_timeouts_total',
    'Reconciles cut off at their deadline.',
    ['controller'],
  );
  readonly #reconcileSeconds = this.#histogram(
    'controller_runtime_reconcile_time_seconds',
    'Seconds of a reconcile.',
    ['controller'],
    RECONCILE_BUCKETS,
  );
  readonly #reconcileLimit = this.#gauge(
    'controller_runtime_max_concurrent_reconciles',
    'Workers of a controller.',
    ['controller'],
  );
  readonly #reconcileActive = this.#gauge('controller_runtime_active_workers', 'Workers that work now.', [
    'controller',
  ]);

  controller(name: string): {
    reconciled(outcome: 'success' | 'error' | 'requeue_after', seconds: number): void;
    stalled(): void;
    panicked(): void;
    timedOut(): void;
    workers(limit: number, active: number): void;
  } {
    const labels = { controller: name };
    // Present from the start: a rate over a counter that springs into being at 1 misses the first.
    for (const result of ['success', 'error', 'requeue_after'])
      this.#reconciles.inc({ controller: name, result }, 0);
    this.#reconcileErrors.inc(labels, 0);
    this.#reconcilePanics.inc(labels, 0);
    this.#reconcileTerminal.inc(labels, 0);
    this.#reconcileTimeouts.inc(labels, 0);
    return {
      reconciled: (result, seconds) => {
        this.#reconciles.inc({ controller: name, result });
        if (result === 'error') this.#reconcileErrors.inc(labels);
        this.#reconcileSeconds.observe(labels, seconds);
      },
      stalled: () => this.#reconcileTerminal.inc(labels),
      panicked: () => this.#reconcilePanics.inc(labels),
      timedOut: () => this.#reconcileTimeouts.inc(labels),
      workers: (limit, active) => {
        this.#reconcileLimit.set(labels, limit);
        this.#reconcileActive.set(labels, active);
      },
    };
  }

  readonly #builds = this.#counter(
    'linuxkit_image_builds_total',
    'Builds that ended, by result and reason.',
    ['result', 'reason', 'arch'],
  );
  readonly #buildSeconds = this.#histogram(
    'linuxkit_image_build_duration_seconds',
    'Seconds of a build by phase: queue (until its container ran), each step (pull goes on during assemble), and total.',
    ['phase'],
    BUILD_BUCKETS,
  );
  readonly #buildBytes = this.#counter(
    'linuxkit_image_build_bytes_total',
    'Bytes that builds pulled and stored.',
    ['direction'],
  );
  readonly #cacheRequests = this.#counter(
    'linuxkit_image_build_cache_requests_total',
    'Members of initrds that builds found in the cache (hit), or had to make (miss).',
    ['result'],
  );
  readonly #cacheBytes = this.#counter(
    'linuxkit_image_build_cache_bytes_total',
    'Bytes of the members that builds found in the cache.',
    [],
  );
  readonly #artifacts = this.#gauge(
    'linuxkit_artifacts',
    'Artifacts that images keep: the present one of each (current), and those before it (history).',
    ['state'],
  );
  readonly #artifactBytes = this.#gauge(
    'linuxkit_artifact_bytes',
    'Bytes of the kernels and initrds of these artifacts.',
    ['state'],
  );
  readonly #images = this.#gauge('linuxkit_images', 'Images by state.', ['state']);
  readonly #artifactsRemoved = this.#counter(
    'linuxkit_artifacts_removed_total',
    'Artifacts removed from storage.',
    ['reason'],
  );
  readonly #oldestBuild = this.#gauge(
    'linuxkit_image_build_oldest_seconds',
    'Seconds since the running build that began first did; 0 without one.',
    [],
  );
  readonly #sweeps = this.#counter(
    'linuxkit_garbage_collections_total',
    "Looks through an image's stored artifacts, or a namespace's build cache, for what nothing keeps, by result.",
    ['result'],
  );

  readonly #buildQueue = this.#gauge(
    'linuxkit_image_build_queue_depth',
    'Builds that wait for their turn: user (created, changed, asked for), operator (refresh, new engine).',
    ['priority'],
  );
  readonly #oldestWaiting = this.#gauge(
    'linuxkit_image_build_queue_oldest_seconds',
    'Seconds that the build which has waited longest has waited for its turn; 0 without one.',
    [],
  );
  readonly #cacheRemoved = this.#counter(
    'linuxkit_cache_objects_removed_total',
    "Objects removed from namespaces' build caches because of age or size.",
    [],
  );

  readonly images = {
    built: (build: {
      readonly result: 'succeeded' | 'failed' | 'cancelled';
      readonly reason: string;
      readonly arch: string;
    }): void => this.#builds.inc({ result: build.result, reason: build.reason, arch: build.arch }),
    took: (phase: string, seconds: number): void => this.#buildSeconds.observe({ phase }, seconds),
    moved: (direction: 'pulled' | 'stored', bytes: number): void =>
      this.#buildBytes.inc({ direction }, bytes),
    cacheUsed: (use: { readonly hits: number; readonly misses: number; readonly bytes: number }): void => {
      this.#cacheRequests.inc({ result: 'hit' }, use.hits);
      this.#cacheRequests.inc({ result: 'miss' }, use.misses);
      this.#cacheBytes.inc(use.bytes);
    },
    artifacts: (kept: Readonly<Record<string, { readonly count: number; readonly bytes: number }>>): void => {
      for (const [state, { count, bytes }] of Object.entries(kept)) {
        this.#artifacts.set({ state }, count);
        this.#artifactBytes.set({ state }, bytes);
      }
    },
    states: (counts: Readonly<Record<string, number>>): void => setAll(this.#images, 'state', counts),
    queueDepth: (counts: Readonly<Record<'user' | 'operator', number>>): void =>
      setAll(this.#buildQueue, 'priority', counts),
    oldestWaiting: (seconds: number): void => this.#oldestWaiting.set(seconds),
    cacheRemoved: (objects: number): void => this.#cacheRemoved.inc(objects),
    oldestBuild: (seconds: number): void => this.#oldestBuild.set(seconds),
    swept: (result: 'succeeded' | 'failed'): void => this.#sweeps.inc({ result }),
    artifactRemoved: (reason: 'history' | 'deleted'): void => this.#artifactsRemoved.inc({ reason }),
  };

  readonly #endpointRequests = this.#counter(
    'linuxkit_artifact_endpoint_requests_total',
    'Requests of build pods to the artifact endpoint, by route and HTTP status.',
    ['route', 'code'],
  );
  readonly #endpointSeconds = this.#histogram(
    'linuxkit_artifact_endpoint_request_duration_seconds',
    'Seconds of a request to the artifact endpoint.',
    ['route'],
    REQUEST_BUCKETS,
  );

  readonly #certificateEnds = this.#gauge(
    'linuxkit_artifact_endpoint_certificate_expiry_timestamp_seconds',
    'When the certificate of the artifact endpoint ends, in seconds since the epoch.',
    [],
  );
  readonly #storage = this.#gauge(
    'linuxkit_storage_reachable',
    '1 if object storage answered when it was last asked.',
    [],
  );

  storageReachable(is: boolean): void {
    this.#storage.set(is ? 1 : 0);
  }

  readonly endpoint = {
    certificateEnds: (seconds: number): void => this.#certificateEnds.set(seconds),
    request: (r: { readonly route: string; readonly status: number; readonly seconds: number }): void => {
      this.#endpointRequests.inc({ route: r.route, code: String(r.status) });
      this.#endpointSeconds.observe({ route: r.route }, r.seconds);
    },
  };

  readonly #machines = this.#gauge('linuxkit_machines', 'Virtual machines by state.', ['state']);
  readonly #machinesOutdated = this.#gauge(
    'linuxkit_machines_by_digest',
    'Virtual machines by whether they run the wanted digest: current, outdated, unknown.',
    ['digest'],
  );
  readonly #machineRestarts = this.#counter(
    'linuxkit_machine_restarts_total',
    'Virtual machines restarted, by reason.',
    ['reason'],
  );

  readonly #rollouts = this.#gauge(
    'linuxkit_machine_rollouts',
    'LinuxKitMachines by how far they are on their way to what their spec says: complete, progressing, stalled, deleting.',
    ['state'],
  );

  readonly #rolloutResults = this.#counter(
    'linuxkit_machine_rollouts_total',
    'Rollouts of a LinuxKitMachine that ended: completed, rolled_back, halted.',
    ['result'],
  );
  readonly #bootSeconds = this.#histogram(
    'linuxkit_machine_boot_duration_seconds',
    'Seconds from the making of an instance to its being ready.',
    [],
    BOOT_BUCKETS,
  );
  readonly #machinesStarting = this.#gauge(
    'linuxkit_machines_starting',
    'Virtual machines that were taken down, or are being started, and do not serve yet.',
    [],
  );
  readonly #machinesWaiting = this.#gauge(
    'linuxkit_machines_waiting_for_slot',
    'LinuxKitMachines that wait until fewer virtual machines are being restarted.',
    [],
  );

  readonly machines = {
    rollouts: (counts: Readonly<Record<string, number>>): void => setAll(this.#rollouts, 'state', counts),
    states: (counts: Readonly<Record<string, number>>): void => setAll(this.#machines, 'state', counts),
    digests: (counts: Readonly<Record<string, number>>): void =>
      setAll(this.#machinesOutdated, 'digest', counts),
    restarted: (reason: string): void => this.#machineRestarts.inc({ reason }),
    rolledOut: (result: 'completed' | 'rolled_back' | 'halted'): void => this.#rolloutResults.inc({ result }),
    booted: (seconds: number): void => this.#bootSeconds.observe(seconds),
    starting: (counts: { readonly underWay: number; readonly waiting: number }): void => {
      this.#machinesStarting.set(counts.underWay);
      this.#machinesWaiting.set(counts.waiting);
    },
  };
}

function setAll<Label extends string>(
  gauge: Gauge<Label>,
  label: Label,
  counts: Readonly<Record<string, number>>,
): void {
  gauge.reset();
  for (const [value, count] of Object.entries(counts))
    gauge.set({ [label]: value } as Record<Label, string>, count);
}
