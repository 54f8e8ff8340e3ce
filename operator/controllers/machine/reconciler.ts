import { isDeepStrictEqual } from 'node:util';
import { findCondition, READY, summarise } from '../../api/conditions.ts';
import { type LinuxKitMachine, type MachineStatus, parseMachine } from '../../api/machine.ts';
import { FINALIZER_MACHINES, MANAGER_MACHINE } from '../../api/names.ts';
import { ObjectError } from '../../api/object.ts';
import type { RenderOptions } from '../../kubevirt/render.ts';
import type { ApiClient } from '../../runtime/api-client.ts';
import type { Clock } from '../../runtime/clock.ts';
import {
  type ReconcileContext,
  type ReconcileResult,
  StalledError,
  WaitingError,
} from '../../runtime/controller.ts';
import type { EventRecorder } from '../../runtime/event-recorder.ts';
import { keyOf, keyText, type ObjectKey, type Stored } from '../../runtime/objects.ts';
import { MACHINES, type MachineObject } from '../image/objects.ts';
import { type Action, type Decision, nameOf, type RestartReason } from './actions.ts';
import { applyAction } from './apply.ts';
import { BootTimes } from './boot-times.ts';
import { MACHINE_STATUSES, type MachineCaches } from './caches.ts';
import { decide } from './decide.ts';
import { deletionOf } from './deletion.ts';
import { MachineGatherer } from './gather.ts';
import { INSTANCE_TYPE_TTL_MS, InstanceTypes } from './instance-types.ts';
import { KubeVirtPresence } from './kubevirt-presence.ts';
import { type Obstacle, obstacleIn } from './obstacle.ts';
import { OwnWrites } from './own-writes.ts';
import type { RestartLedger } from './restart-ledger.ts';
import { FREE_SLOTS } from './slots.ts';
import { rolloutResult } from './transitions.ts';

/** What is counted of machines. */
export interface MachineMetrics {
  restarted(reason: RestartReason): void;
  rolledOut(result: 'completed' | 'rolled_back' | 'halted'): void;
  /** From the making of an instance to its being ready. */
  booted(seconds: number): void;
}

export interface MachineReconcilerOptions {
  readonly client: ApiClient;
  readonly caches: MachineCaches;
  readonly recorder: EventRecorder;
  readonly render: RenderOptions;
  readonly clock: Clock;
  /** Shared with whoever counts. */
  readonly ledger: RestartLedger;
  /** Namespace that is watched; all when absent. */
  readonly namespace?: string;
  readonly metrics?: MachineMetrics;
  /** Called with keys of machines that may have waited for what has just been decided. */
  readonly wake: (keys: readonly string[]) => void;
}

/** How often a machine that waits for others looks again. */
const SLOT_RETRY_MS = 15_000;
/** How often it is asked whether KubeVirt has been installed meanwhile. */
const KUBEVIRT_RETRY_MS = 10_000;

/** Gathers, decides, acts, and says what it found. */
export class MachineReconciler {
  readonly #options: MachineReconcilerOptions;
  readonly #gatherer: MachineGatherer;
  readonly #machines: OwnWrites<MachineObject>;
  readonly #boots = new BootTimes();
  readonly #kubeVirt: KubeVirtPresence;
  readonly #instanceTypes: InstanceTypes;

  constructor(options: MachineReconcilerOptions) {
    this.#options = options;
    this.#gatherer = new MachineGatherer(options.caches, options.clock);
    this.#machines = new OwnWrites(() => options.clock.monotonic());
    this.#instanceTypes = new InstanceTypes(options.client, options.clock);
    this.#kubeVirt = new KubeVirtPresence(options.client, options.caches, options.namespace);
    options.caches.machines.onChange(({ type, object }) => {
      if (type === 'deleted') this.#forget(object.metadata.uid);
    });
  }

  async reconcile(key: ObjectKey, context: ReconcileContext): Promise<ReconcileResult> {
    const cached = this.#options.caches.machines.get(key);
    if (cached === undefined) return;
    const object = this.#machines.newest(cached);
    if (object.metadata.deletionTimestamp !== undefined) return await this.#finalize(object, context);
    const machine = parsed(object);
    await this.#awaitKubeVirt(object, machine, context);
    return await this.#bringUp(await this.#withFinalizer(object, context.signal), machine, context);
  }

  async #bringUp(
    object: Stored<MachineObject>,
    machine: LinuxKitMachine,
    context: ReconcileContext,
  ): Promise<ReconcileResult> {
    const { render, recorder, metrics } = this.#options;
    const instanceMemory = await this.#instanceTypes.memoryFor(machine, context.signal);
    const decision = this.#decide(machine, render, instanceMemory);
    try {
      for (const action of decision.actions) await this.#act(machine, action, context);
    } catch (error) {
      const why = obstacleIn(error);
      if (why !== undefined) await this.#say(object, machine, decision.status, why, context);
      throw error;
    }
    for (const tell of decision.done) recorder.record(object, tell);
    await this.#writeStatus(object, machine, decision.status, context);
    for (const tell of decision.observed) recorder.record(object, tell);
    const result = rolloutResult(machine.status, decision.status);
    if (result !== undefined) metrics?.rolledOut(result);
    for (const seconds of this.#boots.observe(machine.metadata.uid, machine.status, decision.boots))
      metrics?.booted(seconds);
    return decision.requeueAfterMs === undefined ? undefined : { requeueAfterMs: decision.requeueAfterMs };
  }

  /** Without a pause between looking at the ledger and writing into it: others decide at the same time. */
  #decide(machine: LinuxKitMachine, render: RenderOptions, instanceMemory: string | undefined): Decision {
    const { ledger, clock, wake } = this.#options;
    const { uid, namespace, name } = machine.metadata;
    const slots = ledger.slotsFor({ uid, namespace }, clock.now());
    const decision = decide(
      this.#gatherer.gather(machine, slots, instanceMemory),
      render,
      new Date(clock.now()),
    );
    wake(ledger.record({ uid, key: keyText({ namespace, name }) }, decision));
    const looks = [
      decision.requeueAfterMs,
      // Those on their way may be given up for the count without any event.
      decision.waitsForSlot ? SLOT_RETRY_MS : undefined,
      // Instance types are not watched.
      instanceMemory === undefined ? undefined : INSTANCE_TYPE_TTL_MS,
    ].filter((each) => each !== undefined);
    return looks.length === 0 ? decision : { ...decision, requeueAfterMs: Math.min(...looks) };
  }

  async #act(machine: LinuxKitMachine, action: Action, { signal, logger }: ReconcileContext): Promise<void> {
    const { namespace, uid } = machine.metadata;
    logger.info('acting', { action: action.kind, on: nameOf(action) });
    const effect = await applyAction(this.#options.client, namespace, action, signal);
    if (effect?.kind === 'machine') this.#gatherer.machines.remember(effect.object);
    else if (effect?.kind === 'revision') this.#gatherer.revisions.remember(effect.object);
    else if (effect?.kind === 'claimTaken') this.#gatherer.taken(namespace, effect.name);
    if (action.kind === 'deleteInstance' || action.kind === 'restartInstance') {
      this.#gatherer.ended(uid, action.uid);
      this.#options.metrics?.restarted(action.why);
    }
    if (action.kind === 'deleteMachine') this.#gatherer.machines.forget(action.uid);
    if (action.kind === 'deleteRevision') this.#gatherer.revisions.forget(action.uid);
  }

  /** Before anything is made, so that it cannot be deleted without us. */
  async #withFinalizer(object: Stored<MachineObject>, signal: AbortSignal): Promise<Stored<MachineObject>> {
    const { finalizers = [] } = object.metadata;
    if (finalizers.includes(FINALIZER_MACHINES)) return object;
    return await this.#setFinalizers(object, [...finalizers, FINALIZER_MACHINES], signal);
  }

  async #setFinalizers(
    object: Stored<MachineObject>,
    finalizers: readonly string[],
    signal: AbortSignal,
  ): Promise<Stored<MachineObject>> {
    const { resourceVersion } = object.metadata;
    const patch = { metadata: { resourceVersion, finalizers } };
    const written = await this.#options.client.patch(MACHINES, keyOf(object), patch, { signal });
    this.#machines.remember(written);
    return written;
  }

  async #finalize(object: Stored<MachineObject>, context: ReconcileContext): Promise<ReconcileResult> {
    const { finalizers = [], uid } = object.metadata;
    if (!finalizers.includes(FINALIZER_MACHINES)) {
      this.#forget(uid);
      return;
    }
    // Without KubeVirt there are no virtual machines to wait for.
    if (!(await this.#kubeVirt.isMissing(context.signal))) this.#kubeVirt.throwUnlessSynced();
    const { clock } = this.#options;
    const machine = parsedForDeletion(object);
    const deletion = deletionOf(this.#gatherer.gather(machine, FREE_SLOTS), new Date(clock.now()));
    for (const action of deletion.actions) await this.#act(machine, action, context);
    if (deletion.status !== undefined) {
      await this.#writeStatus(object, machine, deletion.status, context);
      return;
    }
    const others = finalizers.filter((name) => name !== FINALIZER_MACHINES);
    await this.#setFinalizers(object, others, context.signal);
    this.#forget(uid);
  }

  #forget(uid: string): void {
    this.#gatherer.forget(uid);
    this.#machines.forget(uid);
    this.#boots.forget(uid);
    this.#options.wake(this.#options.ledger.forget(uid));
  }

  /** Returns once KubeVirt's objects are in the caches; until then it says what is waited for. */
  async #awaitKubeVirt(
    object: Stored<MachineObject>,
    machine: LinuxKitMachine,
    context: ReconcileContext,
  ): Promise<void> {
    if (await this.#kubeVirt.isMissing(context.signal)) {
      const message = 'the API server knows no VirtualMachine: KubeVirt has to be installed';
      const why = { kind: 'stalled', reason: 'KubeVirtMissing', message } as const;
      await this.#say(object, machine, machine.status, why, context);
      throw new WaitingError('KubeVirtMissing', message, KUBEVIRT_RETRY_MS);
    }
    this.#kubeVirt.throwUnlessSynced();
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
    const written = await this.#options.client.applyStatus(MACHINE_STATUSES, patch, {
      signal,
      fieldManager: MANAGER_MACHINE,
    });
    this.#machines.remember(written);
  }
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

/** One whose spec does not fit must be deletable all the same: nothing of it is needed for that. */
function parsedForDeletion(object: Stored<MachineObject>): LinuxKitMachine {
  try {
    return parseMachine(object);
  } catch (error) {
    if (!(error instanceof ObjectError)) throw error;
    const { apiVersion, kind, metadata } = object;
    const spec = { imageRef: { name: metadata.name }, memory: '32Mi', replicas: 0 };
    return parseMachine({ apiVersion, kind, metadata, spec });
  }
}
