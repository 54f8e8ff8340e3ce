import type { MachineStatus } from '../../api/machine.ts';
import { PluginError } from './error.ts';

/** What the annotation is to name, and the revision that is meant, where it is known now. */
export interface RollbackRequest {
  readonly to: string;
  readonly revision?: { readonly name: string; readonly number: number; readonly digest: string };
}

/**
 * Looks a revision up among those that are kept: `previous`, a number or a name. Which one `previous` is
 * the controller decides when it acts. Throws PluginError `NoSuchRevision`.
 */
export function rollbackRequest(
  machine: string,
  status: MachineStatus | undefined,
  to: string,
): RollbackRequest {
  const revisions = status?.revisions ?? [];
  if (to === 'previous') {
    if (revisions.length < 2) {
      throw new PluginError(
        'NoSuchRevision',
        `machine/${machine} has no revision before the present one; see kubectl linuxkit history machine/${machine}`,
      );
    }
    return { to };
  }
  const revision = revisions.find(({ name, number }) => name === to || String(number) === to);
  if (revision === undefined) {
    const kept = revisions.map(({ number }) => number).join(', ') || 'none';
    throw new PluginError(
      'NoSuchRevision',
      `machine/${machine} keeps no revision ${JSON.stringify(to.slice(0, 253))}; there are: ${kept}`,
    );
  }
  const { name, number, digest } = revision;
  // By number: a long name, with what makes the request new, would not fit what status keeps of it.
  return { to: String(number), revision: { name, number, digest } };
}

/** The annotation's value: what follows the `@` makes it a new request although the same revision is meant. */
export function rollbackToken(to: string, now: number): string {
  return `${to}@${new Date(now).toISOString()}`;
}
