/** How often and how patiently a request is made again. Times are in milliseconds. */
export interface RetryPolicy {
  /** Attempts in all, the first included. */
  readonly attempts: number;
  readonly firstDelay: number;
  readonly maxDelay: number;
  /** A registry that asks for more patience than this is given up. */
  readonly maxRetryAfter: number;
}

export const RETRY_POLICY: RetryPolicy = {
  attempts: 5,
  firstDelay: 250,
  maxDelay: 8000,
  maxRetryAfter: 60_000,
};

/** Answers after which the same request may succeed. */
const RETRYABLE: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);

export function isRetryable(status: number): boolean {
  return RETRYABLE.has(status);
}

/**
 * How long to wait after attempt number `attempt` (from 1): what the server asked for, or else an
 * exponential delay of which between half and all is taken by chance, so that many builds do not
 * come back at once. Undefined when it is no use to wait.
 */
export function retryDelay(
  attempt: number,
  retryAfter: number | undefined,
  policy: RetryPolicy,
  random: () => number,
): number | undefined {
  if (attempt >= policy.attempts) return undefined;
  if (retryAfter !== undefined) return retryAfter <= policy.maxRetryAfter ? retryAfter : undefined;
  const full = Math.min(policy.maxDelay, policy.firstDelay * 2 ** (attempt - 1));
  return full / 2 + (full / 2) * random();
}

/** `Retry-After` (RFC 9110, section 10.2.3) in milliseconds from `now`, undefined if absent or neither seconds nor a date. */
export function parseRetryAfter(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^[0-9]{1,9}$/.test(header.trim())) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
