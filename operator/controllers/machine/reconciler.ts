import { isDeepStrictEqual } from 'node:util';
import { findCondition, READY, summarise } from '../../api/conditions.ts';
import { type LinuxKitMachine, type MachineStatus, parseMachine } from '../../api/machine.ts';
import { MANAGER_MACHINE } from '../../api/names.ts';
import { ObjectError } from '../../api/object.ts';
import type { MachineReason } from '../../api/reasons.ts';
import { messageOf } from '../../errors.ts';
import type { RenderOptions } from '../../kubevirt/render.ts';
import type { ApiClient } from '../../runtime/api-client.ts';
import { ApiError, isNotFound, isRefused } from '../../runtime/api-error.ts';
import type { Clock } from '../../runtime/clock.ts';
import {
  type ReconcileContext,
  type ReconcileResult,
  StalledError,
  WaitingError,
} from '../../runtime/controller.ts';
import type { EventRecorder } from '../../runtime/event-recorder.ts';
import type { ObjectKey, Stored } from '../../runtime/objects.ts';
import type { MachineObject } from '../image/objects.ts';
import { type Action, nameOf } from './actions.ts';
import { applyAction } from './apply.ts';
import { MACHINE_STATUSES, type MachineCaches, VIRTUAL_MACHINES } from './caches.ts';
import { decide } from './decide.ts';
import { MachineGatherer } from './gather.ts';

export interface MachineReconcilerOptions {
  readonly client: ApiClient;
  readonly caches: MachineCaches;
  readonly recorder: EventRecorder;
  readonly render: RenderOptions;
  readonly clock: Clock;
  /** Namespace that is watched; all when absent. */
  readonly namespace?: string;
  /** Called for each restart that was done. */
  readonly onRestart?: () => void;
}

/** What was met on the way to what was decided. */
interface Obstacle {
  readonly kind: 'stalled' | 'reconciling';
  readonly reason: MachineReason;
  readonly message: string;
}

/** How often it is asked whether KubeVirt has been installed meanwhile. */
const KUBEVIRT_RETRY_MS = 10_000;
/** How long the caches of KubeVirt's objects are waited for before looking again. */
const SYNC_RETRY_MS = 500;

/** Gathers, decides, acts, and says what it found. */
export class MachineReconciler {
  readonly #options: MachineReconcilerOptions;
  readonly #gatherer: MachineGatherer;

  constructor(options: MachineReconcilerOptions) {
    this.#options = options;
    this.#gatherer = new MachineGatherer(options.caches);
  }

  async reconcile(key: ObjectKey, context: ReconcileContext): Promise<ReconcileResult> {
    const { caches, render, clock, recorder } = this.#options;
    const object = caches.machines.get(key);
    if (object === undefined) return;
    if (object.metadata.deletionTimestamp !== undefined) {
      this.#gatherer.forget(object.metadata.uid);
      return;
    }
    const machine = parsed(object);
    await this.#awaitKubeVirt(object, machine, context);

    const decision = decide(this.#gatherer.gather(machine), render, new Date(clock.now()));
    try {
      for (const action of decision.actions) await this.#act(machine, action, context);
    } catch (error) {
      if (isRefused(error) || isIllTyped(error)) {
        const why = { kind: 'stalled', reason: 'Refused', message: messageOf(error) } as const;
        await this.#say(object, machine, decision.status, why, context);
      } else if (isServerError(error)) {
        const why = { kind: 'reconciling', reason: 'ApplyFailed', message: messageOf(error) } as const;
        await this.#say(object, machine, decision.status, why, context);
      }
      throw error;
    }
    for (const tell of decision.done) recorder.record(object, tell);
    if (decision.status !== undefined) await this.#writeStatus(object, machine, decision.status, context);
    for (const tell of decision.observed) recorder.record(object, tell);
    return decision.requeueAfterMs === undefined ? undefined : { requeueAfterMs: decision.requeueAfterMs };
  }

  async #act(machine: LinuxKitMachine, action: Action, { signal, logger }: ReconcileContext): Promise<void> {
    logger.info('acting', { action: action.kind, on: nameOf(action) });
    await applyAction(this.#options.client, machine.metadata.namespace, action, signal);
    if (action.kind === 'deleteInstance' || action.kind === 'restartInstance') {
      this.#gatherer.ended(machine.metadata.uid, action.uid);
      this.#options.onRestart?.();
    }
  }

  /** Returns once KubeVirt's objects are in the caches; until then it says what is waited for. */
  async #awaitKubeVirt(
    object: Stored<MachineObject>,
    machine: LinuxKitMachine,
    context: ReconcileContext,
  ): Promise<void> {
    const { client, caches, namespace } = this.#options;
    const { virtualMachines, instances, pods, configMaps } = caches;
    if ([virtualMachines, instances, pods, configMaps].every((cache) => cache.hasSynced)) return;
    const scope = namespace === undefined ? {} : { namespace };
    try {
      await client.pages(VIRTUAL_MACHINES, { ...scope, signal: context.signal, pageSize: 1 }).next();
    } catch (error) {
      if (!isNotFound(error)) throw error;
      const message = 'the API server knows no VirtualMachine: KubeVirt has to be installed';
      const why = { kind: 'stalled', reason: 'KubeVirtMissing', message } as const;
      await this.#say(object, machine, machine.status, why, context);
      throw new WaitingError('KubeVirtMissing', message, KUBEVIRT_RETRY_MS, { cause: error });
    }
    throw new WaitingError('NotSynced', 'the caches of virtual machines are not filled yet', SYNC_RETRY_MS);
  }

  /** Says what is only known once it was tried. The event comes once a transition, not once a try. */
  async #say(
    object: Stored<MachineObject>,
    machine: LinuxKitMachine,
    status: MachineStatus | undefined,
    { kind, reason, message }: Obstacle,
    context: ReconcileContext,
  ): Promise<void> {
    const before = machine.status?.conditions;
    const { generation } = machine.metadata;
    const conditions = summarise(
      before,
      { ready: { status: 'False', reason, message }, [kind]: { reason, message } },
      generation,
      new Date(this.#options.clock.now()),
    );
    await this.#writeStatus(
      object,
      machine,
      { ...status, observedGeneration: generation, conditions },
      context,
    );
    if (findCondition(before, READY)?.reason !== reason) {
      this.#options.recorder.record(object, { type: 'Warning', reason, action: 'Apply', note: message });
    }
  }

  async #writeStatus(
    object: Stored<MachineObject>,
    machine: LinuxKitMachine,
    status: MachineStatus,
    { signal }: ReconcileContext,
  ): Promise<void> {
    if (isDeepStrictEqual(machine.status, status)) return;
    const { apiVersion, kind } = object;
    const { name, namespace, uid } = machine.metadata;
    // The uid ties the status to this machine: one of the same name made since then starts afresh.
    const patch = { apiVersion, kind, metadata: { name, namespace, uid }, status };
    await this.#options.client.applyStatus(MACHINE_STATUSES, patch, {
      signal,
      fieldManager: MANAGER_MACHINE,
    });
  }
}

function isServerError(error: unknown): error is ApiError {
  return error instanceof ApiError && error.code === 'ServerError';
}

/**
 * What does not fit the schema of the object that is applied: a refusal in all but its code, for the
 * API server answers 500 where it cannot compare what was applied with a schema.
 */
function isIllTyped(error: unknown): boolean {
  return isServerError(error) && error.message.includes('failed to create typed patch object');
}

/** The API server has checked it already; what does not fit was written under another schema. */
function parsed(object: Stored<MachineObject>): LinuxKitMachine {
  try {
    return parseMachine(object);
  } catch (error) {
    if (error instanceof ObjectError) throw new StalledError(error.code, error.message, { cause: error });
    throw error;
  }
}
