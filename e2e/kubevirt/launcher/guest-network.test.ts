import { expect, it } from 'vitest';
import type { InstanceSpec } from '../api/instance-spec.ts';
import { sampleInstance } from '../sample.ts';
import { hostnameOf, macOf, networkArguments } from './guest-network.ts';

function forwards(change: (spec: InstanceSpec) => void): string[] {
  const [, netdev = ''] = networkArguments(sampleInstance({}, ({ spec }) => change(spec)));
  return netdev.split(',').filter((part) => part.startsWith('hostfwd='));
}

it('forwards the ports that are declared, and no others: not even one that is probed', () => {
  const declared = forwards((spec) => {
    Object.assign(spec.domain.devices.interfaces?.[0] ?? {}, {
      ports: [{ port: 80 }, { port: 53, protocol: 'UDP' }, { port: 80, name: 'again' }],
    });
    spec.readinessProbe = { tcpSocket: { port: 8000 } };
  });
  expect(declared).toEqual(['hostfwd=tcp::80-10.0.2.2:80', 'hostfwd=udp::53-10.0.2.2:53']);
});

it('forwards usual and probed ports where none are declared', () => {
  const usual = forwards((spec) => {
    spec.livenessProbe = { httpGet: { port: 12_345 } };
  });
  expect(usual).toContain('hostfwd=tcp::80-10.0.2.2:80');
  expect(usual).toContain('hostfwd=tcp::12345-10.0.2.2:12345');
});

it('has no card without a pod network', () => {
  const vmi = sampleInstance({}, ({ spec }) => {
    Object.assign(spec.domain.devices, { interfaces: [], autoattachPodInterface: false });
  });
  expect(networkArguments(vmi)).toEqual([]);
});

it('keeps an address for the card', () => {
  const nic = { name: 'default' };
  expect(macOf(sampleInstance(), nic)).toMatch(/^02(:[0-9a-f]{2}){5}$/);
  expect(macOf(sampleInstance(), nic)).toBe(macOf(sampleInstance({ phase: 'Running' }), nic));
  expect(macOf(sampleInstance(), { ...nic, macAddress: '02:00:00:00:00:01' })).toBe('02:00:00:00:00:01');
});

it.each([
  ['web-0', undefined, 'web-0'],
  ['web.example', undefined, 'web'],
  [`${'a'.repeat(62)}-b`, undefined, 'a'.repeat(62)],
  ['web-0', 'given', 'given'],
])('%s (%s) is called %s', (name, hostname, expected) => {
  const vmi = sampleInstance({}, ({ metadata, spec }) => {
    metadata.name = name;
    if (hostname !== undefined) spec.hostname = hostname;
  });
  expect(hostnameOf(vmi)).toBe(expected);
});
