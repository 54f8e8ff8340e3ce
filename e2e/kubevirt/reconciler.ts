import type { ApiClient } from '../../operator/runtime/api-client.ts';
import { ApiError } from '../../operator/runtime/api-error.ts';
import type { EventRecorder } from '../../operator/runtime/event-recorder.ts';
import { MIGRATIONS, VIRTUAL_MACHINE_INSTANCES } from './api/resources.ts';
import type { Claim, Metadata, Migration, Pod, VirtualMachine, VirtualMachineInstance } from './api/types.ts';
import { applyInstanceStep } from './apply-instance.ts';
import { applyMigrationStep } from './apply-migration.ts';
import { applyVirtualMachineStep } from './apply-virtual-machine.ts';
import { evacuation } from './instance/eviction.ts';
import { nextForInstance } from './instance/instance.ts';
import { isMigrationOver, nextForMigration, targetPodOf } from './instance/migration.ts';
import { isFinal } from './instance/phase.ts';
import { activePod, compute } from './instance/pods.ts';
import type { DomainState, Launchers } from './launcher/domain.ts';
import { startRevisionName } from './machine/revisions.ts';
import { resolveSizing } from './machine/sizing-source.ts';
import { nextForVirtualMachine } from './machine/virtual-machine.ts';
import type { Pauses } from './pauses.ts';
import type { World } from './world.ts';

export interface ReconcilerOptions {
  readonly launcherImage: string;
  readonly pauses: Pauses;
  readonly launchers: Launchers;
  readonly recorder?: EventRecorder;
}

/** After which a pod that the API server refused is asked for again. */
const REFUSAL_PAUSE_MS = 5_000;

/** One step for each machine, instance and migration of a world, however often it is called. */
export class Reconciler {
  readonly #client: ApiClient;
  readonly #options: ReconcilerOptions;
  /** By the instance's uid. */
  readonly #refusals = new Map<string, { readonly message: string; readonly until: number }>();

  constructor(client: ApiClient, options: ReconcilerOptions) {
    this.#client = client;
    this.#options = options;
  }

  /** @returns true while something is under way that no change of an object will tell of. */
  async look(world: World, now: Date, signal: AbortSignal): Promise<boolean> {
    const domains = await this.#domains(world);
    const steps = await Promise.allSettled([
      ...world.vms.map((vm) => tolerant(() => this.#machine(world, vm, now, signal))),
      ...world.vmis.map((vmi) => tolerant(() => this.#instance(world, vmi, domains, now, signal))),
      ...world.migrations.map((each) => tolerant(() => this.#migration(world, each, domains, now, signal))),
    ]);
    for (const step of steps) if (step.status === 'rejected') throw step.reason;
    return (
      world.vmis.some((vmi) =>
        ['', 'Pending', 'Scheduling', 'Scheduled'].includes(vmi.status?.phase ?? ''),
      ) || world.migrations.some((each) => !isMigrationOver(each))
    );
  }

  async #machine(world: World, vm: VirtualMachine, now: Date, signal: AbortSignal): Promise<void> {
    const vmi = world.vmis.find((each) => isOwned(each, vm) && sameName(each, vm));
    const revisionName = vmi?.status?.virtualMachineRevisionName ?? startRevisionName(vm);
    const revision = world.revisions.find(
      ({ metadata }) => metadata.name === revisionName && metadata.namespace === vm.metadata.namespace,
    );
    const resolved = resolveSizing(vm, world.sizings, world.revisions);
    const view = { vm, vmi, revision, resolved, now, pauses: this.#options.pauses };
    const step = nextForVirtualMachine(view);
    await applyVirtualMachineStep(this.#client, view, step, world.revisions, this.#options.recorder, signal);
  }

  async #instance(
    world: World,
    vmi: VirtualMachineInstance,
    domains: ReadonlyMap<string, DomainState>,
    now: Date,
    signal: AbortSignal,
  ): Promise<void> {
    const { launcherImage, pauses, recorder } = this.#options;
    const uid = vmi.metadata.uid ?? '';
    const pods = podsOf(world, vmi);
    const active = activePod(pods);
    const refusal = this.#refusals.get(uid);
    const view = {
      vmi,
      pods,
      domain: active === undefined ? undefined : domains.get(active.metadata.uid ?? ''),
      claims: claimsOf(world, vmi.metadata.namespace),
      launcherImage,
      pauses,
      now,
      ...(refusal !== undefined && refusal.until > now.getTime() ? { podRefusal: refusal.message } : {}),
    };
    const refused = await applyInstanceStep(this.#client, view, nextForInstance(view), recorder, signal);
    if (refused !== undefined)
      this.#refusals.set(uid, { message: refused, until: now.getTime() + REFUSAL_PAUSE_MS });
    else if (active !== undefined || isFinal(vmi.status?.phase)) this.#refusals.delete(uid);
    if (evacuation(vmi, world.migrations, now) === undefined) return;
    // The copy may be older than the end of the migration that it was to leave by.
    const key = { namespace: vmi.metadata.namespace, name: vmi.metadata.name };
    const fresh = await this.#client.find(VIRTUAL_MACHINE_INSTANCES, key, { signal });
    if (fresh?.metadata.uid !== uid) return;
    const needed = evacuation(fresh as unknown as VirtualMachineInstance, world.migrations, now);
    if (needed !== undefined) await this.#client.create(MIGRATIONS, needed, { signal });
  }

  async #migration(
    world: World,
    migration: Migration,
    domains: ReadonlyMap<string, DomainState>,
    now: Date,
    signal: AbortSignal,
  ): Promise<void> {
    const vmi = world.vmis.find(
      ({ metadata }) =>
        metadata.name === migration.spec.vmiName && metadata.namespace === migration.metadata.namespace,
    );
    const pods = vmi === undefined ? [] : podsOf(world, vmi);
    const target = targetPodOf(migration, pods);
    const source = activePod(pods.filter((pod) => pod !== target));
    const domainOf = (pod: Pod | undefined) => domains.get(pod?.metadata.uid ?? '');
    const step = nextForMigration({
      migration,
      vmi,
      pods,
      source: domainOf(source),
      target: domainOf(target),
      claims: claimsOf(world, migration.metadata.namespace),
      launcherImage: this.#options.launcherImage,
      now,
    });
    await applyMigrationStep(this.#client, migration, step, this.#options.launchers, now, signal);
  }

  /** Asks the launchers of machines that start or move; by the pod's uid. */
  async #domains(world: World): Promise<ReadonlyMap<string, DomainState>> {
    const moving = new Set(
      world.migrations
        .filter((each) => !isMigrationOver(each))
        .map(({ spec, metadata }) => `${metadata.namespace}/${spec.vmiName}`),
    );
    const asked = world.vmis
      .filter(
        ({ metadata, status }) =>
          status?.phase === 'Scheduled' || moving.has(`${metadata.namespace}/${metadata.name}`),
      )
      .flatMap((vmi) => podsOf(world, vmi))
      .filter((pod) => compute(pod)?.state?.running !== undefined);
    const told = await Promise.all(
      asked.map(async ({ metadata, status }) => {
        const state =
          status?.podIP === undefined ? undefined : await this.#options.launchers.read(status.podIP);
        return state === undefined ? [] : [[metadata.uid ?? '', state] as const];
      }),
    );
    return new Map(told.flat());
  }
}

/** An object that changed or went since the look is seen as it is at the next look. */
async function tolerant(step: () => Promise<void>): Promise<void> {
  try {
    await step();
  } catch (error) {
    if (error instanceof ApiError && ['Conflict', 'NotFound', 'AlreadyExists'].includes(error.code)) return;
    throw error;
  }
}

function podsOf(world: World, vmi: VirtualMachineInstance): Pod[] {
  return world.pods.filter((pod) => isOwned(pod, vmi));
}

function claimsOf(world: World, namespace: string): ReadonlyMap<string, Claim> {
  const own = world.claims.filter(({ metadata }) => metadata.namespace === namespace);
  return new Map(own.map((claim) => [claim.metadata.name, claim]));
}

function isOwned(object: { metadata: Metadata }, owner: { metadata: Metadata }): boolean {
  return object.metadata.ownerReferences?.some(({ uid }) => uid === owner.metadata.uid) === true;
}

function sameName(one: { metadata: Metadata }, other: { metadata: Metadata }): boolean {
  return one.metadata.name === other.metadata.name;
}
