import { createHash } from 'node:crypto';
import { ANNOTATION_APPLIED } from '../../api/names.ts';
import { quantityValue } from '../../api/quantity.ts';
import { canonicalJson } from '../../kubevirt/canonical-json.ts';
import type { VirtualMachine } from '../../kubevirt/types.ts';
import type { VirtualMachineView } from './snapshot.ts';

/**
 * Whether a virtual machine has to be applied. Only our own fields are compared: KubeVirt writes
 * into the same spec. Two things make it necessary: a field of ours is not as we say (somebody
 * changed it), or what we say has changed; the latter is known by a hash that stands on the object, since
 * of a field that we used to set and no longer do nothing else would tell.
 */
export function needsApply(rendered: VirtualMachine, present: VirtualMachineView): boolean {
  return !contains(present, { metadata: rendered.metadata, spec: rendered.spec });
}

/** Whether what stands there came of this very rendering, so that a difference is somebody else's doing. */
export function wasApplied(rendered: VirtualMachine, present: VirtualMachineView): boolean {
  const applied = present.metadata.annotations?.[ANNOTATION_APPLIED];
  return applied !== undefined && applied === rendered.metadata.annotations?.[ANNOTATION_APPLIED];
}

/** The same virtual machine with the hash of itself on it. */
export function withAppliedHash(vm: VirtualMachine): VirtualMachine {
  const hash = createHash('sha256')
    .update(canonicalJson([vm.metadata, vm.spec]))
    .digest('hex')
    .slice(0, 16);
  return {
    ...vm,
    metadata: { ...vm.metadata, annotations: { ...vm.metadata.annotations, [ANNOTATION_APPLIED]: hash } },
  };
}

/** True if everything that `part` says is so in `whole`. */
export function contains(whole: unknown, part: unknown): boolean {
  if (Array.isArray(part)) {
    return (
      Array.isArray(whole) &&
      whole.length === part.length &&
      part.every((item, index) => contains(whole[index], item))
    );
  }
  if (typeof part === 'string' && typeof whole === 'string')
    return whole === part || sameQuantity(whole, part);
  if (typeof part !== 'object' || part === null) return whole === part;
  if (typeof whole !== 'object' || whole === null) return false;
  const members = whole as Readonly<Record<string, unknown>>;
  return Object.entries(part).every(([key, value]) => value === undefined || contains(members[key], value));
}

/** KubeVirt's webhook writes quantities anew: 1024Mi comes back as 1Gi. */
function sameQuantity(a: string, b: string): boolean {
  const value = quantityValue(a);
  return value !== undefined && value === quantityValue(b);
}
