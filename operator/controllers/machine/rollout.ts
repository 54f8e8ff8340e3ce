import type { LinuxKitMachine } from '../../api/machine.ts';
import type { Member } from './fleet.ts';

/**
 * Which machines are moved to the wanted revision now.
 *
 * A machine counts as down while it does not serve: it is missing, starts, ends, fails its probe, or has
 * not been ready long enough after an update. At most `maxUnavailable` are down by our doing. Of
 * those that serve, the highest ordinal goes first.
 *
 * One that is down anyway costs nothing, and a machine stuck on a bad digest comes back in no
 * other way: all of those are moved at once. But not while as many as may be down are on their way to
 * the wanted revision and have not arrived: it may be the bad one, and a machine that is down for
 * a moment comes back with what it had. So a revision that does not come up takes what
 * `maxUnavailable` allows, and halts there.
 */
export function chooseUpdates(machine: LinuxKitMachine, members: readonly Member[]): readonly Member[] {
  const outdated = members.filter(
    (member) => member.ownership === 'ours' && !member.updated && canMove(member),
  );
  // Nothing is meant to run: there is nobody to be careful about.
  if (machine.spec.runStrategy === 'Halted') return outdated;
  const allowed = allowedDown(machine);
  const isDown = (member: Member): boolean => !member.available && !member.resting;
  const underWay = members.filter((member) => (member.staged || member.updated) && isDown(member)).length;

  const free = outdated.filter((member) => !member.available && (member.staged || underWay < allowed));
  const serving = outdated
    .filter((member) => member.available)
    .sort((a, b) => Number(b.staged) - Number(a.staged) || b.ordinal - a.ordinal);
  const budget = Math.max(0, allowed - members.filter(isDown).length);
  return [...free, ...serving.slice(0, budget)];
}

/** An instance that is being moved to another node is left alone until it has arrived. */
function canMove(member: Member): boolean {
  return member.reading.instance?.migrating !== true && member.vm?.metadata.deletionTimestamp === undefined;
}

/** `maxUnavailable` as a number of machines: a percentage is rounded down, but one may always be down. */
export function allowedDown(machine: LinuxKitMachine): number {
  const given = machine.spec.update?.maxUnavailable ?? 1;
  if (typeof given === 'number') return given;
  return Math.max(1, Math.floor((machine.spec.replicas * Number.parseInt(given, 10)) / 100));
}
