import type { MachineObject } from './objects.ts';

/**
 * Which machines hold which digest: booted, to be booted, pinned, or kept to go back to. Digests name content, so it
 * does not matter which image a machine names now: one that was pointed at another image still
 * runs what it booted.
 */
export function digestsInUse(machines: readonly MachineObject[]): ReadonlyMap<string, readonly string[]> {
  const users = new Map<string, Set<string>>();
  for (const machine of machines) {
    const { status, spec } = machine;
    const digests = [
      spec?.imageRef?.digest,
      status?.currentDigest,
      status?.targetDigest,
      ...(status?.revisions ?? []).map((revision) => revision.digest),
      ...(status?.machines ?? []).map(({ bootedDigest }) => bootedDigest),
    ];
    for (const digest of digests) {
      if (digest === undefined || digest === '') continue;
      const names = users.get(digest);
      if (names === undefined) users.set(digest, new Set([machine.metadata.name]));
      else names.add(machine.metadata.name);
    }
  }
  return new Map([...users].map(([digest, names]) => [digest, [...names].sort()]));
}
