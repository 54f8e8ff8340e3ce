import type { MachineStatus } from '../../api/machine.ts';
import { ANNOTATION_REVISION } from '../../api/names.ts';
import type { Action } from './actions.ts';
import type { Course } from './course.ts';
import { causeOf, revisionObject, type StoredRevision } from './revision.ts';
import type { Snapshot } from './snapshot.ts';

/** What is done to the history, and what it is after that. */
export interface History {
  readonly actions: readonly Action[];
  /** Newest first. */
  readonly revisions: readonly StoredRevision[];
}

/** The status holds no more. */
const CEILING = 100;

/**
 * The history with the target in it, as its newest. A revision is stored before any machine is given it,
 * so that whatever runs can be rendered again. Kept are those in use, those that may be gone back to, and
 * of the others the newest.
 */
export function historyOf(snapshot: Snapshot, course: Course): History {
  const { machine, revisions } = snapshot;
  const { target } = course;
  const newestFirst = [...revisions].sort((a, b) => b.number - a.number);
  const used = namesInUse(snapshot, course);
  const others = newestFirst.filter(({ name }) => !used.has(name)).slice(machine.spec.revisionHistoryLimit);
  const dropped = new Set(others.map(({ name }) => name));
  const actions: Action[] = others.map(({ name, uid }) => ({ kind: 'deleteRevision', name, uid }));
  const kept = newestFirst.filter(({ name }) => !dropped.has(name));
  if (target === undefined) return { actions, revisions: kept.slice(0, CEILING) };

  const stored = kept.find(({ name }) => name === target.name);
  const newest = newestFirst[0];
  const number = (newest?.number ?? 0) + 1;
  if (stored === undefined) {
    const before = revisions.find(({ name }) => name === machine.status?.targetRevision) ?? newest;
    const cause = causeOf(before, target);
    const revision = revisionObject(machine, target, number, cause);
    return {
      actions: [{ kind: 'createRevision', revision }, ...actions],
      revisions: [{ ...target, uid: '', number, cause }, ...kept].slice(0, CEILING),
    };
  }
  if (stored === newest) return { actions, revisions: kept.slice(0, CEILING) };
  return {
    actions: [{ kind: 'numberRevision', name: stored.name, uid: stored.uid, number }, ...actions],
    revisions: [{ ...stored, number }, ...kept.filter((revision) => revision !== stored)].slice(0, CEILING),
  };
}

function namesInUse({ machine, virtualMachines, instances }: Snapshot, course: Course): ReadonlySet<string> {
  const { status } = machine;
  const names = [
    course.target?.name,
    course.desired?.name,
    course.base?.name,
    course.failed?.name,
    course.failed?.rolledBackTo,
    status?.targetRevision,
    status?.healthyRevision,
    ...virtualMachines.map((vm) => vm.spec?.template.metadata?.annotations?.[ANNOTATION_REVISION]),
    ...instances.map((vmi) => vmi.metadata.annotations?.[ANNOTATION_REVISION]),
  ];
  return new Set(names.flatMap((name) => name ?? []));
}

/** The history as status shows it. */
export function revisionRows(revisions: readonly StoredRevision[]): NonNullable<MachineStatus['revisions']> {
  return revisions.map(({ name, number, artifact, created, cause }) => ({
    name,
    number,
    digest: artifact.digest,
    ...(created === undefined ? {} : { created }),
    ...(cause === undefined ? {} : { cause }),
  }));
}
