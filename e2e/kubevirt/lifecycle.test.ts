import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import type { ControllerRevision, Pod, VirtualMachine, VirtualMachineInstance } from './api/types.ts';
import { nextForInstance } from './instance/instance.ts';
import type { DomainState } from './launcher/domain.ts';
import { answerSubresource } from './machine/subresources.ts';
import { nextForVirtualMachine } from './machine/virtual-machine.ts';
import { KUBEVIRT_PAUSES } from './pauses.ts';
import { later, sampleMachine } from './sample.ts';

type Event = 'node' | 'poweroff' | 'crash' | 'delete' | 'restart' | 'stop' | 'start' | 'change' | 'vanish';
const EVENTS: readonly Event[] = [
  'node',
  'poweroff',
  'crash',
  'delete',
  'restart',
  'stop',
  'start',
  'change',
  'vanish',
];

/** One machine, its instance and its pod, with API server and node played in memory. */
class Play {
  vm: VirtualMachine;
  vmi: VirtualMachineInstance | undefined;
  pods: Pod[] = [];
  revision: ControllerRevision | undefined;
  writes = 0;
  #seconds = 0;
  #made = 0;

  constructor(runStrategy: string) {
    this.vm = sampleMachine((vm) => Object.assign(vm.spec, { runStrategy }));
  }

  /** One look of both controllers, and so many seconds. */
  look(seconds = 1): void {
    const now = later(this.#seconds);
    this.#seconds += seconds;
    const resolved = { sizing: {}, revisions: [] };
    const { vm, vmi, revision } = this;
    const machine = nextForVirtualMachine({ vm, vmi, revision, resolved, now, pauses: KUBEVIRT_PAUSES });
    if (machine.createInstance !== undefined) {
      expect(this.vmi).toBeUndefined();
      this.vmi = structuredClone(machine.createInstance);
      this.vmi.metadata.uid = `instance-${++this.#made}`;
      this.revision = machine.createRevisions.at(-1);
      this.writes += 1;
    }
    if (machine.runStrategy !== undefined) this.vm.spec.runStrategy = machine.runStrategy;
    if (machine.deleteInstance === true) this.#delete();
    if (machine.patchInstance !== undefined && this.vmi !== undefined) {
      const { metadata, spec } = machine.patchInstance as Partial<VirtualMachineInstance>;
      Object.assign((this.vmi.metadata.annotations ??= {}), metadata?.annotations);
      Object.assign(this.vmi.spec, spec);
      this.writes += 1;
    }
    this.#write(this.vm, machine.status);
    if (this.vmi === undefined) return;
    const instance = nextForInstance({
      vmi: this.vmi,
      pods: this.pods,
      domain: this.#domain(),
      claims: new Map(),
      launcherImage: 'launcher',
      pauses: KUBEVIRT_PAUSES,
      now,
    });
    if (instance.createPod !== undefined) {
      expect(this.pods).toEqual([]);
      this.pods.push(instance.createPod);
      this.writes += 1;
    }
    for (const name of instance.deletePods) this.#deletePod(name);
    this.#write(this.vmi, instance.status);
    if (instance.finalizers?.length === 0) this.vmi = undefined;
  }

  /** Something that happens to them. */
  happen(event: Event): void {
    const running = this.pods.find((pod) => pod.status?.containerStatuses?.[0]?.state?.running !== undefined);
    switch (event) {
      case 'node':
        for (const pod of this.pods) this.#play(pod);
        break;
      case 'poweroff':
        if (running !== undefined) end(running, 0);
        break;
      case 'crash':
        if (running !== undefined) end(running, 1);
        break;
      case 'vanish':
        this.pods = [];
        break;
      case 'delete':
        if (this.vmi !== undefined) this.#delete();
        break;
      case 'change':
        this.vm.metadata.generation = (this.vm.metadata.generation ?? 0) + 1;
        this.vm.spec.template.spec.terminationGracePeriodSeconds = this.vm.metadata.generation;
        break;
      case 'restart':
      case 'stop':
      case 'start': {
        const answer = answerSubresource(event, this.vm, this.vmi, { force: false });
        if ('requests' in answer) (this.vm.status ??= {}).stateChangeRequests = [...answer.requests];
        if ('runStrategy' in answer) this.vm.spec.runStrategy = answer.runStrategy;
        break;
      }
    }
  }

  #write(object: { status?: object }, status: object | undefined): void {
    if (status === undefined || JSON.stringify(status) === JSON.stringify(object.status)) return;
    object.status = structuredClone(status);
    this.writes += 1;
  }

  #delete(): void {
    if (this.vmi !== undefined) this.vmi.metadata.deletionTimestamp ??= later(this.#seconds).toISOString();
    this.writes += 1;
  }

  #deletePod(name: string): void {
    const pod = this.pods.find((each) => each.metadata.name === name);
    if (pod !== undefined) pod.metadata.deletionTimestamp = later(this.#seconds).toISOString();
    this.writes += 1;
  }

  #domain(): DomainState | undefined {
    return this.pods.some((pod) => pod.status?.phase === 'Running') ? { state: 'running' } : undefined;
  }

  /** The kubelet: a new pod runs and is ready; one that is deleted powers off, and is gone at the next call. */
  #play(pod: Pod): void {
    const state = pod.status?.containerStatuses?.[0]?.state;
    if (pod.metadata.deletionTimestamp !== undefined && state?.running === undefined)
      this.pods = this.pods.filter((each) => each !== pod);
    else if (pod.metadata.deletionTimestamp !== undefined) end(pod, 0);
    else if (pod.status === undefined) {
      pod.spec.nodeName = 'node';
      pod.status = {
        phase: 'Running',
        podIP: '10.0.0.1',
        conditions: [{ type: 'Ready', status: 'True' }],
        containerStatuses: [{ name: 'compute', ready: true, state: { running: {} } }],
      };
    }
  }
}

function end(pod: Pod, exitCode: number): void {
  pod.status = {
    phase: exitCode === 0 ? 'Succeeded' : 'Failed',
    conditions: [{ type: 'Ready', status: 'False' }],
    containerStatuses: [{ name: 'compute', ready: false, state: { terminated: { exitCode } } }],
  };
}

const story = fc.array(
  fc.record({ event: fc.constantFrom(...EVENTS), looks: fc.integer({ min: 0, max: 8 }) }),
  { maxLength: 25 },
);

function played(runStrategy: string, events: readonly { event: Event; looks: number }[]): Play {
  const play = new Play(runStrategy);
  for (const { event, looks } of events) {
    play.happen(event);
    for (let look = 0; look < looks; look += 1) play.look();
  }
  // From then on nothing happens but what a healthy node does. Start failures may have to be waited for.
  for (let look = 0; look < 100; look += 1) {
    play.happen('node');
    play.look(10);
  }
  return play;
}

it.each(['Always', 'RerunOnFailure', 'Once', 'Manual', 'Halted'])(
  'under %s whatever happened, it comes to rest where it should',
  (runStrategy) => {
    fc.assert(
      fc.property(story, (events) => {
        const play = played(runStrategy, events);
        const { vm, vmi } = play;
        const before = play.writes;
        play.look();
        expect(play.writes).toBe(before);
        expect(vm.status?.stateChangeRequests ?? []).toEqual([]);
        switch (vm.spec.runStrategy) {
          case 'Always':
            expect(vm.status).toMatchObject({ printableStatus: 'Running', ready: true, created: true });
            break;
          case 'Halted':
            expect([vmi, play.pods]).toEqual([undefined, []]);
            expect(vm.status?.printableStatus).toBe('Stopped');
            break;
          default:
            // An instance that somebody deletes before it runs is not run again, and is remembered for ever.
            expect(['Running', 'Stopped', 'CrashLoopBackOff']).toContain(vm.status?.printableStatus);
            if (vmi === undefined) expect(play.pods).toEqual([]);
        }
      }),
      { numRuns: 50 },
    );
  },
);
