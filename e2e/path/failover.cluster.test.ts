import { describe, expect, it } from 'vitest';
import { OPERATOR_NAMESPACE, RELEASE } from '../stack/chart.ts';
import {
  createNamespace,
  eventually,
  imageReady,
  kubectl,
  linuxkitConfig,
  linuxkitImage,
  within,
} from './fixtures.ts';

const NAMESPACE = 'failover';
/** Seconds in which the other replica must have taken over. */
const TAKEOVER_BUDGET = 20;

async function holder(): Promise<string> {
  const { items } = await kubectl.json<{
    items: readonly {
      readonly metadata: { readonly name: string };
      readonly spec: { readonly holderIdentity?: string };
    }[];
  }>([`--namespace=${OPERATOR_NAMESPACE}`, 'get', 'leases'], within(20));
  return items.find((lease) => lease.metadata.name.startsWith(RELEASE))?.spec.holderIdentity ?? '';
}

describe('two replicas', () => {
  it('one acts; when it is killed the other takes over within 20 s', async () => {
    const selector = `app.kubernetes.io/instance=${RELEASE},app.kubernetes.io/component=manager`;
    const running = await eventually('two replicas', 90, async () => {
      const text = await kubectl.run(
        [
          `--namespace=${OPERATOR_NAMESPACE}`,
          'get',
          'pods',
          '-l',
          selector,
          '-o',
          'jsonpath={range .items[?(@.status.phase=="Running")]}{.metadata.name} {end}',
        ],
        within(20),
      );
      const names = text.trim().split(' ');
      return names.length === 2 ? names : undefined;
    });
    const leader = await eventually('a leader among them', 60, async () => {
      const name = await holder();
      return running.find((pod) => name.includes(pod));
    });
    await createNamespace(NAMESPACE);

    const killed = performance.now();
    await kubectl.run(
      [`--namespace=${OPERATOR_NAMESPACE}`, 'delete', 'pod', leader, '--grace-period=0', '--force'],
      within(30),
    );
    await kubectl.apply([linuxkitImage(NAMESPACE, 'after', { config: linuxkitConfig('after') })], within(20));
    await eventually('another leader', TAKEOVER_BUDGET, async () => {
      const name = await holder();
      return name !== '' && !name.includes(leader);
    });
    expect((performance.now() - killed) / 1000).toBeLessThan(TAKEOVER_BUDGET);
    await imageReady(NAMESPACE, 'after', 120);
  });
});
