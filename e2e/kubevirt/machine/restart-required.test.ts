import { expect, it } from 'vitest';
import type { VirtualMachineSpec } from '../api/types.ts';
import { sampleMachine } from '../sample.ts';
import { restartRequired } from './restart-required.ts';

const GENERIC = 'a non-live-updatable field was changed in the template spec';

it.each<[string, (spec: VirtualMachineSpec) => void, string | undefined]>([
  ['nothing', () => undefined, undefined],
  ['kernel arguments', (spec) => Object.assign(boot(spec), { kernelArgs: 'other' }), GENERIC],
  ['image', (spec) => Object.assign(boot(spec).container ?? {}, { image: 'other' }), GENERIC],
  [
    'pull policy',
    (spec) => Object.assign(boot(spec).container ?? {}, { imagePullPolicy: 'Always' }),
    GENERIC,
  ],
  [
    'grace period',
    (spec) => Object.assign(spec.template.spec, { terminationGracePeriodSeconds: 1 }),
    GENERIC,
  ],
  [
    'probe',
    (spec) => Object.assign(spec.template.spec, { readinessProbe: { tcpSocket: { port: 1 } } }),
    GENERIC,
  ],
  ['cores', (spec) => Object.assign(spec.template.spec.domain, { cpu: { cores: 2 } }), GENERIC],
  ['eviction strategy', (spec) => Object.assign(spec.template.spec, { evictionStrategy: 'None' }), GENERIC],
  [
    'memory',
    (spec) => Object.assign(spec.template.spec.domain, { memory: { guest: '1Gi' } }),
    'Memory-hotplug is not available for this VM configuration',
  ],
  ['instance type', (spec) => Object.assign(spec, { instancetype: { name: 'small' } }), GENERIC],
  ['node selector', (spec) => Object.assign(spec.template.spec, { nodeSelector: { a: 'b' } }), undefined],
  ['tolerations', (spec) => Object.assign(spec.template.spec, { tolerations: [{}] }), undefined],
  [
    'template labels',
    (spec) => Object.assign(spec.template, { metadata: { labels: { a: 'b' } } }),
    undefined,
  ],
  ['run strategy', (spec) => Object.assign(spec, { runStrategy: 'Manual' }), undefined],
])('a change of %s', (_name, change, message) => {
  const started = sampleMachine().spec;
  const present = sampleMachine((vm) => change(vm.spec)).spec;
  const required = restartRequired(started, present);
  if (message === undefined) expect(required).toBeUndefined();
  else expect(required).toContain(message);
});

function boot(spec: VirtualMachineSpec) {
  return spec.template.spec.domain.firmware?.kernelBoot ?? {};
}
