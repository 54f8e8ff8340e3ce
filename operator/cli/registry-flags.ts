import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { InvalidArgumentError } from 'commander';
import { CodedError, messageOf } from '../errors.ts';
import type { LimitSettings } from '../oci/limits.ts';
import type { RegistryClientOptions } from '../oci/registry/options.ts';

export class RegistryFlagError extends CodedError<'AuthorityUnusable'> {}

/** What flags say of registries, by registry: mirrors in their order, and files with certificates of authorities. */
export type MirrorFlags = Readonly<Record<string, readonly string[]>>;
export type AuthorityFlags = Readonly<Record<string, string>>;

const HOST = /^[A-Za-z0-9._-]+(:[0-9]{1,5})?$|^\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?$/;
const MIRROR = /^[^\s/@?#]+(\/[^\s@?#]*)?$/;
/** A bundle of all public authorities has a quarter of it. */
const MAX_AUTHORITY_BYTES = 1024 * 1024;

/** Commander's parser for a repeatable `REGISTRY=MIRROR`; several with commas between. */
export function mirrorFlag(text: string, before: MirrorFlags = {}): MirrorFlags {
  const mirrors: Record<string, readonly string[]> = { ...before };
  for (const [registry, mirror] of pairs(text)) {
    if (!HOST.test(registry)) throw new InvalidArgumentError(`${JSON.stringify(registry)} is no registry.`);
    if (!MIRROR.test(mirror))
      throw new InvalidArgumentError(
        `${JSON.stringify(mirror)} is no mirror; write it as host[:port][/path].`,
      );
    mirrors[registry] = [...(mirrors[registry] ?? []), mirror];
  }
  return mirrors;
}

/** Commander's parser for a repeatable `REGISTRY=FILE`, or `*=FILE`. */
export function authorityFlag(text: string, before: AuthorityFlags = {}): AuthorityFlags {
  const authorities: Record<string, string> = { ...before };
  for (const [registry, file] of pairs(text)) {
    if (registry !== '*' && !HOST.test(registry))
      throw new InvalidArgumentError(`${JSON.stringify(registry)} is no registry.`);
    authorities[registry] = file;
  }
  return authorities;
}

function pairs(text: string): readonly (readonly [string, string])[] {
  return text.split(',').map((pair) => {
    const equals = pair.indexOf('=');
    const [name, value] = [pair.slice(0, equals).trim(), pair.slice(equals + 1).trim()];
    if (equals < 1 || value === '') throw new InvalidArgumentError('Not NAME=VALUE.');
    return [name, value];
  });
}

/** The certificates themselves. Throws {@link RegistryFlagError}, naming the file. */
export async function readAuthorities(flags: AuthorityFlags): Promise<Readonly<Record<string, string>>> {
  const read = Object.entries(flags).map(async ([registry, file]) => [registry, await readAuthority(file)]);
  return Object.fromEntries((await Promise.all(read)) as [string, string][]);
}

async function readAuthority(file: string): Promise<string> {
  try {
    const text = await readFile(file, 'utf8');
    if (text.length > MAX_AUTHORITY_BYTES) throw new RangeError(`more than ${MAX_AUTHORITY_BYTES} bytes`);
    // Node takes what is no certificate for an empty bundle; better that nobody wonders why none is trusted.
    void new X509Certificate(text);
    return text;
  } catch (error) {
    throw new RegistryFlagError(
      'AuthorityUnusable',
      `${file} does not hold certificates of an authority in PEM: ${messageOf(error)}`,
      { cause: error },
    );
  }
}

/** A client's options from what flags, or a build request, say. */
export function registryOptions(settings: {
  readonly insecureRegistries: readonly string[];
  readonly registryMirrors?: MirrorFlags | undefined;
  readonly registryAuthorities?: Readonly<Record<string, string>> | undefined;
  readonly limits?: LimitSettings | undefined;
}): Pick<RegistryClientOptions, 'insecureRegistries' | 'mirrors' | 'certificateAuthorities' | 'limits'> {
  return {
    insecureRegistries: settings.insecureRegistries,
    mirrors: new Map(Object.entries(settings.registryMirrors ?? {})),
    certificateAuthorities: new Map(Object.entries(settings.registryAuthorities ?? {})),
    limits: settings.limits ?? {},
  };
}
