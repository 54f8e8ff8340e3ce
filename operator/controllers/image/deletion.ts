import { summarise } from '../../api/conditions.ts';
import type { ImageStatus, LinuxKitImage } from '../../api/image.ts';
import type { ImageReason } from '../../api/reasons.ts';
import type { JobView } from './job-view.ts';

/** What stands between an image that is being deleted and its end. */
export type DeletionStep =
  | { readonly kind: 'cancelBuilds'; readonly jobs: readonly JobView[] }
  /** Their pods could still upload something. */
  | { readonly kind: 'awaitBuilds' }
  | { readonly kind: 'blocked'; readonly users: ReadonlyMap<string, readonly string[]> }
  | { readonly kind: 'removeObjects' }
  | { readonly kind: 'release' };

/** The next step of a deletion. Called again after each. */
export function nextDeletionStep(
  image: LinuxKitImage,
  found: {
    readonly jobs: readonly JobView[];
    /** Pods of builds, of Jobs that are gone too. */
    readonly pods: number;
    readonly stored: readonly string[];
    readonly inUse: ReadonlyMap<string, readonly string[]>;
  },
): DeletionStep {
  const jobs = found.jobs.filter((job) => job.ours && !job.deleting);
  if (jobs.length > 0) return { kind: 'cancelBuilds', jobs };
  if (found.jobs.length > 0 || found.pods > 0) return { kind: 'awaitBuilds' };
  if (image.spec.deletionPolicy === 'Retain') return { kind: 'release' };
  const users = new Map([...found.inUse].filter(([digest]) => found.stored.includes(digest)));
  return users.size > 0 ? { kind: 'blocked', users } : { kind: 'removeObjects' };
}

/** The status of an image that is going. */
export function deletionStatus(image: LinuxKitImage, step: DeletionStep, now: number): ImageStatus {
  const because = reasonOf(step);
  const findings = { reconciling: because, ready: { status: 'False', ...because } } as const;
  const { build: _, ...kept } = image.status ?? {};
  return {
    ...kept,
    observedGeneration: image.metadata.generation,
    conditions: summarise(image.status?.conditions, findings, image.metadata.generation, new Date(now)),
  };
}

function reasonOf(step: DeletionStep): { readonly reason: ImageReason; readonly message: string } {
  switch (step.kind) {
    case 'cancelBuilds':
    case 'awaitBuilds':
      return { reason: 'Deleting', message: 'the running build is being ended' };
    case 'removeObjects':
    case 'release':
      return { reason: 'Deleting', message: 'the stored artifacts are being removed' };
    case 'blocked':
      return {
        reason: 'ArtifactInUse',
        message: `${usersText(step.users)}; the artifacts are kept until then`,
      };
  }
}

/** `machine web needs sha256:…`: at most five are named. */
function usersText(users: ReadonlyMap<string, readonly string[]>): string {
  const uses = [...users].flatMap(([digest, machines]) =>
    machines.map((name) => `machine ${name} needs ${digest}`),
  );
  const more = uses.length - 5;
  return uses.slice(0, 5).join(', ') + (more > 0 ? `, and ${more} more` : '');
}
