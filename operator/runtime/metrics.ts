/** What the runtime tells about itself. `operator/telemetry` turns it into the metrics' standard names. */
export interface RuntimeMetrics {
  readonly client: ClientMetrics;
  readonly watch: WatchMetrics;
  readonly election: ElectionMetrics;
  queue(name: string): QueueMetrics;
  controller(name: string): ControllerMetrics;
}

export interface ClientMetrics {
  /** A request was answered, or not: then `code` is `<error>`. */
  request(request: {
    readonly method: string;
    readonly host: string;
    readonly code: string;
    readonly seconds: number;
  }): void;
  /** A request is sent again because the server asked for it. */
  retry(request: { readonly method: string; readonly host: string; readonly code: string }): void;
}

export type WatchRestart = 'expired' | 'gone' | 'error' | 'stale';

export interface WatchMetrics {
  /** A watch ended and is opened again; `gone` means that the list was read anew. */
  restarted(resource: string, reason: WatchRestart): void;
  listed(resource: string, reason: 'start' | 'gone'): void;
  /** Something was heard from the server, a bookmark included; `seconds` since the epoch. */
  heard(resource: string, seconds: number): void;
  cached(resource: string, objects: number): void;
}

export interface ElectionMetrics {
  leading(name: string, is: boolean): void;
}

export interface QueueMetrics {
  added(): void;
  retried(): void;
  depth(keys: number): void;
  /** Seconds between being added and being taken. */
  waited(seconds: number): void;
  /** Seconds of work on one key. */
  worked(seconds: number): void;
  /** Seconds, summed over the keys in work, and of the longest one. */
  unfinished(sum: number, longest: number): void;
}

export type ReconcileOutcome = 'success' | 'error' | 'requeue_after';

export interface ControllerMetrics {
  reconciled(outcome: ReconcileOutcome, seconds: number): void;
  /** A reconcile failed with an error that trying again does not mend. */
  stalled(): void;
  /** A reconcile threw what is not an error of ours: a bug. */
  panicked(): void;
  timedOut(): void;
  workers(limit: number, active: number): void;
}

const nothing = (): void => undefined;

const NO_QUEUE_METRICS: QueueMetrics = {
  added: nothing,
  retried: nothing,
  depth: nothing,
  waited: nothing,
  worked: nothing,
  unfinished: nothing,
};

const NO_CONTROLLER_METRICS: ControllerMetrics = {
  reconciled: nothing,
  stalled: nothing,
  panicked: nothing,
  timedOut: nothing,
  workers: nothing,
};

/** For commands and tests that measure nothing. */
export const NO_METRICS: RuntimeMetrics = {
  client: { request: nothing, retry: nothing },
  watch: { restarted: nothing, listed: nothing, heard: nothing, cached: nothing },
  election: { leading: nothing },
  queue: () => NO_QUEUE_METRICS,
  controller: () => NO_CONTROLLER_METRICS,
};
