import type { KubeObject, Stored } from './objects.ts';

export interface CallOptions {
  readonly signal: AbortSignal;
  /** For the whole call, waiting and trying again included. Default 30 s. */
  readonly timeoutMs?: number;
}

export interface Selection {
  /** All namespaces when absent. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** Asks for metadata alone: what the rest holds never reaches this process. */
  readonly metadataOnly?: boolean;
}

export interface ListOptions extends CallOptions, Selection {
  /** Objects a page. Default 500. */
  readonly pageSize?: number;
}

export interface ListPage<T extends KubeObject> {
  readonly items: readonly Stored<T>[];
  readonly resourceVersion: string;
}

export interface ApplyOptions extends CallOptions {
  readonly fieldManager: string;
  /** Takes fields over from other managers. Default true: a controller means what it applies. */
  readonly force?: boolean;
  readonly dryRun?: boolean;
}

export interface DeleteOptions extends CallOptions {
  readonly propagation?: 'Background' | 'Foreground' | 'Orphan';
  /** Refused with `Conflict` when the object under this name is another one. */
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
  readonly gracePeriodSeconds?: number;
}

export type PatchType = 'merge' | 'json' | 'strategic';

export interface PatchOptions extends CallOptions {
  /** Default `merge` (RFC 7386). `json` is RFC 6902. */
  readonly type?: PatchType;
  readonly subresource?: string;
  readonly fieldManager?: string;
}

export interface WatchOptions extends Selection {
  readonly signal: AbortSignal;
  readonly resourceVersion: string;
  /** After which the server ends the watch by itself. */
  readonly timeoutSeconds: number;
  /** Called for every piece of data that arrives. */
  readonly heard?: () => void;
}

export type WatchEvent<T extends KubeObject> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: Stored<T> }
  | {
      readonly type: 'BOOKMARK';
      readonly object: { readonly metadata: { readonly resourceVersion: string } };
    }
  | { readonly type: 'ERROR'; readonly object: unknown };

export interface TokenReviewStatus {
  readonly authenticated?: boolean;
  readonly audiences?: readonly string[];
  readonly error?: string;
  readonly user?: {
    readonly username?: string;
    readonly uid?: string;
    readonly groups?: readonly string[];
    readonly extra?: Readonly<Record<string, readonly string[]>>;
  };
}
