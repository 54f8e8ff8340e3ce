import type { VirtualMachine } from '../api/types.ts';

/** What KubeVirt's mutating webhook writes into a VirtualMachine, as a JSON patch (RFC 6902). */
export function defaultsPatch(
  vm: VirtualMachine,
  uuid: () => string,
): { op: 'add'; path: string; value: unknown }[] {
  const patch: { op: 'add'; path: string; value: unknown }[] = [];
  const add = (path: string, value: unknown) => patch.push({ op: 'add', path, value });
  const { template } = vm.spec;
  const domain = '/spec/template/spec/domain';

  if (template.metadata === undefined) add('/spec/template/metadata', {});
  if (template.metadata?.annotations === undefined) add('/spec/template/metadata/annotations', {});
  if (template.metadata?.annotations?.['kubevirt.io/pci-topology-version'] === undefined) {
    add('/spec/template/metadata/annotations/kubevirt.io~1pci-topology-version', 'v3');
  }
  if (template.spec.architecture === undefined) add('/spec/template/spec/architecture', 'amd64');
  if (template.spec.domain.resources === undefined) add(`${domain}/resources`, {});
  if (template.spec.domain.machine?.type === undefined) add(`${domain}/machine`, { type: 'q35' });
  if (template.spec.domain.firmware === undefined) add(`${domain}/firmware`, {});
  if (template.spec.domain.firmware?.uuid === undefined) add(`${domain}/firmware/uuid`, uuid());
  if (template.spec.domain.firmware?.serial === undefined) add(`${domain}/firmware/serial`, uuid());
  return patch;
}
