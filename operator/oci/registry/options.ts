import type { CredentialStore } from './credentials.ts';
import type { EndpointOptions } from './endpoint.ts';
import type { RegistryLimits } from './limits.ts';
import type { ProxySettings } from './proxy.ts';
import type { RetryPolicy } from './retry.ts';

export interface RegistryClientOptions extends EndpointOptions {
  readonly credentials?: CredentialStore;
  /** None, if left out: the environment is not looked at. */
  readonly proxy?: ProxySettings;
  readonly retry?: RetryPolicy;
  readonly limits?: Partial<RegistryLimits>;
  /** Connections to one host at once. */
  readonly connections?: number;
  readonly userAgent?: string;
  /** Waits, or throws the signal's reason when it is aborted. */
  readonly sleep?: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
  /** A number from 0 up to 1. */
  readonly random?: () => number;
}
