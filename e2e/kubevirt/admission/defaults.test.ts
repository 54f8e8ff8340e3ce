import { expect, it } from 'vitest';
import { sampleMachine } from '../sample.ts';
import { defaultsPatch } from './defaults.ts';

it('writes firmware identity, machine type, architecture and PCI topology', () => {
  expect(
    Object.fromEntries(defaultsPatch(sampleMachine(), () => 'uuid').map(({ path, value }) => [path, value])),
  ).toEqual({
    '/spec/template/metadata': {},
    '/spec/template/metadata/annotations': {},
    '/spec/template/metadata/annotations/kubevirt.io~1pci-topology-version': 'v3',
    '/spec/template/spec/architecture': 'amd64',
    '/spec/template/spec/domain/resources': {},
    '/spec/template/spec/domain/machine': { type: 'q35' },
    '/spec/template/spec/domain/firmware/uuid': 'uuid',
    '/spec/template/spec/domain/firmware/serial': 'uuid',
  });
});

it('leaves alone what is there', () => {
  const vm = sampleMachine(({ spec: { template } }) => {
    template.metadata = { annotations: { 'kubevirt.io/pci-topology-version': 'v2' } };
    template.spec.architecture = 'arm64';
    Object.assign(template.spec.domain, { resources: {}, machine: { type: 'virt' } });
    Object.assign(template.spec.domain.firmware ?? {}, { uuid: 'a', serial: 'b' });
  });
  expect(defaultsPatch(vm, () => 'uuid')).toEqual([]);
});
