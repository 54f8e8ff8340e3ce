import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { messageOf } from '../errors.ts';
import type { ApiClient } from './api-client.ts';
import { isAlreadyExists, isConflict } from './api-error.ts';
import { createAuthority, issueServing, type KeyedCertificate, validityOf } from './certificate.ts';
import { type Clock, type Random, SYSTEM_CLOCK, sleep } from './clock.ts';
import { givenBundle } from './given-certificate.ts';
import type { Logger } from './logger.ts';
import type { ObjectKey, Stored } from './objects.ts';
import { SECRETS, type Secret } from './resources.ts';

const DAY_MS = 86_400_000;
/** How long what is issued holds, and how long before its end it is replaced. */
const AUTHORITY = { lasts: 5 * 365 * DAY_MS, renew: 365 * DAY_MS } as const;
const SERVING = { lasts: 90 * DAY_MS, renew: 30 * DAY_MS } as const;
/** A new authority is told to clients for so long before anything is signed by it: longer than any build may last. */
const ANNOUNCE_MS = 7 * DAY_MS;
/** Clocks disagree a little. */
const BACKDATE_MS = 10 * 60_000;
const LOOK_MS = 60_000;

/** What is kept in the Secret. */
export interface ServingState {
  readonly authority: KeyedCertificate;
  /** Takes over when the serving certificate is next renewed, once it has been announced long enough. */
  readonly nextAuthority?: KeyedCertificate;
  readonly serving: KeyedCertificate;
}

/** What a server and its clients need. */
export interface ServingBundle {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
  /** Every authority that a client must trust, PEM, one after the other. */
  readonly caBundle: string;
}

/**
 * The state that should follow `state`: the same object while nothing falls due. Pure but for the keys
 * it makes.
 */
export function renewed(
  state: ServingState | undefined,
  names: readonly string[],
  now: number,
): ServingState {
  if (state === undefined || expiresWithin(state.authority, 0, now)) return firstState(names, now);
  let next = state;
  if (state.nextAuthority === undefined && expiresWithin(state.authority, AUTHORITY.renew, now)) {
    next = { ...next, nextAuthority: newAuthority(now) };
  }
  if (!expiresWithin(state.serving, SERVING.renew, now) && covers(state.serving, names)) return next;
  const announced =
    next.nextAuthority !== undefined && validityOf(next.nextAuthority.certificate).from + ANNOUNCE_MS < now;
  if (announced && next.nextAuthority !== undefined) {
    const authority = next.nextAuthority;
    return { authority, serving: newServing(authority, names, now) };
  }
  return { ...next, serving: newServing(next.authority, names, now) };
}

function firstState(names: readonly string[], now: number): ServingState {
  const authority = newAuthority(now);
  return { authority, serving: newServing(authority, names, now) };
}

function newAuthority(now: number): KeyedCertificate {
  return createAuthority('linuxkit-operator artifacts', {
    from: now - BACKDATE_MS,
    to: now + AUTHORITY.lasts,
  });
}

function newServing(authority: KeyedCertificate, names: readonly string[], now: number): KeyedCertificate {
  const to = Math.min(now + SERVING.lasts, validityOf(authority.certificate).to);
  return issueServing(authority, names, { from: now - BACKDATE_MS, to });
}

function expiresWithin({ certificate }: KeyedCertificate, ms: number, now: number): boolean {
  return validityOf(certificate).to - now <= ms;
}

function covers({ certificate }: KeyedCertificate, names: readonly string[]): boolean {
  const parsed = new X509Certificate(certificate);
  return names.every(
    (name) => (isIP(name) === 0 ? parsed.checkHost(name) : parsed.checkIP(name)) !== undefined,
  );
}

export function bundleOf(state: ServingState): ServingBundle {
  return {
    cert: state.serving.certificate,
    key: state.serving.key,
    caBundle: state.authority.certificate + (state.nextAuthority?.certificate ?? ''),
  };
}

export interface ServingCertificateOptions {
  /** A Secret in the operator's own namespace; made if it is not there. */
  readonly secret: ObjectKey & { readonly namespace: string };
  /** Host names or addresses under which clients reach the server. */
  readonly names: readonly string[];
  /** Somebody else, cert-manager for instance, keeps `tls.crt`, `tls.key` and `ca.crt` in the Secret: it is only read. */
  readonly given?: boolean;
  readonly logger: Logger;
  readonly clock?: Clock;
  readonly random?: Random;
}

/**
 * A serving certificate from an authority of our own, kept in a Secret that all replicas share.
 * Whoever first sees that something falls due replaces it; of two, the one whose write is refused
 * takes what the other has written.
 */
export class ServingCertificate {
  readonly #client: ApiClient;
  readonly #options: ServingCertificateOptions;
  readonly #clock: Clock;

  constructor(client: ApiClient, options: ServingCertificateOptions) {
    this.#client = client;
    this.#options = options;
    this.#clock = options.clock ?? SYSTEM_CLOCK;
  }

  /** What is in the Secret, after renewing what falls due. Throws GivenCertificateError while one that is given is not there. */
  async ensure(signal: AbortSignal): Promise<ServingBundle> {
    const { secret: key, names, logger } = this.#options;
    for (;;) {
      const stored = await this.#client.find(SECRETS, key, { signal });
      if (this.#options.given === true) return givenBundle(stored, key.name, names);
      const state = stateOf(stored);
      const next = renewed(state, names, this.#clock.now());
      if (next === state) return bundleOf(next);
      try {
        await this.#write(stored, next, signal);
        logger.info('renewed the serving certificate', {
          secret: key.name,
          authorityAlso: next.authority !== state?.authority,
          until: new Date(validityOf(next.serving.certificate).to).toISOString(),
        });
        return bundleOf(next);
      } catch (error) {
        if (!isConflict(error) && !isAlreadyExists(error)) throw error;
      }
    }
  }

  /** Looks from time to time, and tells of what changed. Resolves when the signal aborts. */
  async run(
    signal: AbortSignal,
    current: ServingBundle,
    changed: (bundle: ServingBundle) => void,
  ): Promise<void> {
    let known = current;
    const random = this.#options.random ?? Math.random;
    for (;;) {
      try {
        await sleep(this.#clock, LOOK_MS * (1 + 0.2 * random()), signal);
        const bundle = await this.ensure(signal);
        if (bundle.cert === known.cert && bundle.caBundle === known.caBundle) continue;
        changed(bundle);
        known = bundle;
      } catch (error) {
        if (signal.aborted) return;
        this.#options.logger.warn('cannot look after the serving certificate', { error: messageOf(error) });
      }
    }
  }

  async #write(stored: Stored<Secret> | undefined, state: ServingState, signal: AbortSignal): Promise<void> {
    const { secret: key } = this.#options;
    const data = {
      'ca.crt': base64(bundleOf(state).caBundle),
      'authority.crt': base64(state.authority.certificate),
      'authority.key': base64(state.authority.key),
      'tls.crt': base64(state.serving.certificate),
      'tls.key': base64(state.serving.key),
      ...(state.nextAuthority === undefined
        ? {}
        : {
            'next.crt': base64(state.nextAuthority.certificate),
            'next.key': base64(state.nextAuthority.key),
          }),
    };
    if (stored !== undefined) {
      await this.#client.replace(SECRETS, { ...stored, data }, { signal });
      return;
    }
    const made: Secret = { apiVersion: 'v1', kind: 'Secret', metadata: key, type: 'Opaque', data };
    await this.#client.create(SECRETS, made, { signal });
  }
}

/** Undefined for a Secret that is empty, damaged, or not ours to understand: it is written anew. */
function stateOf(secret: Stored<Secret> | undefined): ServingState | undefined {
  const read = (name: string): KeyedCertificate | undefined => {
    const [certificate, key] = [secret?.data?.[`${name}.crt`], secret?.data?.[`${name}.key`]];
    if (certificate === undefined || key === undefined) return undefined;
    return { certificate: text(certificate), key: text(key) };
  };
  const [authority, serving, nextAuthority] = [read('authority'), read('tls'), read('next')];
  if (authority === undefined || serving === undefined) return undefined;
  const state = { authority, serving, ...(nextAuthority === undefined ? {} : { nextAuthority }) };
  try {
    for (const each of [authority, serving, nextAuthority])
      if (each !== undefined) validityOf(each.certificate);
    const leaf = new X509Certificate(serving.certificate);
    return leaf.checkIssued(new X509Certificate(authority.certificate)) ? state : undefined;
  } catch {
    return undefined;
  }
}

function base64(plain: string): string {
  return Buffer.from(plain, 'utf8').toString('base64');
}

function text(encoded: string): string {
  return Buffer.from(encoded, 'base64').toString('utf8');
}
