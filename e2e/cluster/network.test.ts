import { assert, integer, property } from 'fast-check';
import { expect, test } from 'vitest';
import { clusterNetwork, rangesOverlap } from './network.ts';

test.each([
  ['10.0.0.0/8', '10.217.3.0/30', true],
  ['10.217.3.1', '10.217.3.0/30', true],
  ['10.217.3.4', '10.217.3.0/30', false],
  ['192.168.0.0/16', '10.218.0.0/24', false],
  ['0.0.0.0/0', '10.218.0.0/24', true],
  ['255.255.255.255', '128.0.0.0/1', true],
  ['default', '10.218.0.0/24', false],
  ['fe80::/64', '10.218.0.0/24', false],
])('%s and %s overlap: %s', (first, second, overlap) => {
  expect(rangesOverlap(first, second)).toBe(overlap);
  expect(rangesOverlap(second, first)).toBe(overlap);
});

test('no two instances have an address in common, and each keeps to its own ranges', () => {
  const index = integer({ min: 0, max: 63 });
  assert(
    property(index, index, (first, second) => {
      const ranges = (at: number): readonly string[] => {
        const { linkCidr, podCidr, serviceCidr } = clusterNetwork(at);
        return [linkCidr, podCidr, serviceCidr];
      };
      for (const a of ranges(first)) {
        for (const b of ranges(second)) expect(rangesOverlap(a, b)).toBe(first === second && a === b);
      }
      const network = clusterNetwork(first);
      expect(rangesOverlap(network.nodeAddress, network.linkCidr)).toBe(true);
      expect(rangesOverlap(network.hostAddress, network.linkCidr)).toBe(true);
      expect(rangesOverlap(network.apiServiceAddress, network.serviceCidr)).toBe(true);
      expect(rangesOverlap(network.dnsAddress, network.serviceCidr)).toBe(true);
      expect(network.interfaceName.length).toBeLessThanOrEqual(15);
    }),
  );
});
