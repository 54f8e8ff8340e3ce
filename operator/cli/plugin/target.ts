import { IMAGE_KIND, MACHINE_KIND } from '../../api/names.ts';
import { DNS_SUBDOMAIN } from '../../api/object.ts';
import { PluginError } from './error.ts';

/** What is meant on the command line; of either kind when `kind` is left out. */
export interface Target {
  readonly kind?: typeof IMAGE_KIND | typeof MACHINE_KIND;
  readonly name: string;
}

const KINDS: ReadonlyMap<string, Target['kind']> = new Map([
  ...['image', 'images', 'lki', 'linuxkitimage', 'linuxkitimages', 'linuxkitimages.linuxkit.dev'].map(
    (name) => [name, IMAGE_KIND] as const,
  ),
  ...[
    'machine',
    'machines',
    'lkm',
    'linuxkitmachine',
    'linuxkitmachines',
    'linuxkitmachines.linuxkit.dev',
  ].map((name) => [name, MACHINE_KIND] as const),
]);

/** Reads `NAME` or `KIND/NAME`, kinds as kubectl has them. Throws PluginError `InvalidName`. */
export function parseTarget(text: string): Target {
  const slash = text.indexOf('/');
  const name = text.slice(slash + 1);
  const kind = slash < 0 ? undefined : KINDS.get(text.slice(0, slash).toLowerCase());
  if (slash >= 0 && kind === undefined) {
    throw new PluginError('InvalidName', `${JSON.stringify(text)}: write image/NAME or machine/NAME`);
  }
  if (name.length > 253 || !DNS_SUBDOMAIN.test(name))
    throw new PluginError('InvalidName', `${JSON.stringify(text)} is no name of a Kubernetes object`);
  return { ...(kind === undefined ? {} : { kind }), name };
}

/** As {@link parseTarget}, for a subcommand that takes one kind alone. */
export function parseNameOf(kind: NonNullable<Target['kind']>, text: string): string {
  const target = parseTarget(text);
  if (target.kind !== undefined && target.kind !== kind)
    throw new PluginError('InvalidName', `${JSON.stringify(text)}: a ${kind} is wanted here`);
  return target.name;
}

/** A virtual machine named by its machine and, maybe, its ordinal: `web` or `web/1`, `machine/web` or `machine/web/1`. */
export function parseVirtualMachine(text: string): { readonly machine: string; readonly ordinal?: number } {
  const match = /^(.*[^/])\/(\d{1,4})$/.exec(text);
  const ordinal = match?.[2];
  return {
    machine: parseNameOf(MACHINE_KIND, match?.[1] ?? text),
    ...(ordinal === undefined ? {} : { ordinal: Number(ordinal) }),
  };
}
