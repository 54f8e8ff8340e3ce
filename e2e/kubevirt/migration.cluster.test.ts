import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually, within } from '../path/fixtures.ts';
import { refusal, SmallMachines } from './small-machine.ts';

let machines: SmallMachines;

beforeAll(async () => {
  machines = await SmallMachines.start('stand-in-moves');
});

afterAll(async () => await machines[Symbol.asyncDispose]());

it('an eviction moves a machine that can move, and its guest runs on', async () => {
  await machines.apply(
    machines.machine('moves', 'guest.http=0', (spec) => {
      spec.evictionStrategy = 'LiveMigrate';
      spec.readinessProbe = { tcpSocket: { port: 80 }, periodSeconds: 1 };
    }),
  );
  await eventually('the guest to be ready', 180, async () => (await machines.vm('moves'))?.status?.ready);
  const boot = async (): Promise<string> => {
    const address = (await machines.instance('moves'))?.status?.interfaces?.[0]?.ipAddress;
    return await (await fetch(`http://${address}/boot`, { signal: within(10) })).text();
  };
  const before = await machines.instance('moves');
  const id = await boot();
  const [pod] = await machines.pods('moves');
  expect(await refusal(machines.evict(pod?.metadata.name ?? ''))).toContain('Eviction triggered evacuation');
  await machines.printed('moves', 'Migrating');
  const after = await eventually('the migration to be over', 90, async () => {
    const vmi = await machines.instance('moves');
    return vmi?.status?.migrationState?.completed === true ? vmi : undefined;
  });
  expect(after.metadata.uid).toBe(before?.metadata.uid);
  expect(after.status?.migrationState?.failed).toBeUndefined();
  expect(after.status?.migrationState).toMatchObject({ sourcePod: pod?.metadata.name });
  await eventually('the new address', 30, async () => {
    const vmi = await machines.instance('moves');
    return vmi?.status?.interfaces?.[0]?.ipAddress !== before?.status?.interfaces?.[0]?.ipAddress;
  });
  expect(await boot()).toBe(id);
  expect(after.status?.evacuationNodeName).toBeUndefined();
  await machines.remove('moves');
});

it('a machine that may be evicted loses its pod, and comes back', async () => {
  await machines.apply(machines.machine('evicted', ''));
  await machines.console('evicted', /guest: up/);
  const { metadata } = await machines.inPhase('evicted', 'Running');
  const [pod] = await machines.pods('evicted');
  await machines.evict(pod?.metadata.name ?? '');
  await machines.inPhase('evicted', 'Running', [metadata.uid]);
  await machines.remove('evicted');
});
