import type { ControllerRevision, Matcher, SizingReference, VirtualMachine } from '../api/types.ts';
import { sizingRevision } from './revisions.ts';
import { CLUSTER_INSTANCETYPE, CLUSTER_PREFERENCE, matched, type Sizing } from './sizing.ts';

/** A VirtualMachineInstancetype, a VirtualMachinePreference, or one of their cluster-wide forms. */
export interface SizingObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly generation?: number;
  };
  readonly spec: object;
}

/** What a machine's matchers mean. */
export interface ResolvedSizing {
  readonly sizing: Sizing | { readonly problem: string };
  readonly instancetypeRef?: SizingReference;
  readonly preferenceRef?: SizingReference;
  /** To be made, so that later changes of the objects do not reach the machine. */
  readonly revisions: readonly ControllerRevision[];
}

interface Found {
  readonly spec: object;
  readonly reference: SizingReference;
  readonly revision?: ControllerRevision;
}

/** Finds what a machine names: as it was when first used, or else as it is. */
export function resolveSizing(
  vm: VirtualMachine,
  objects: readonly SizingObject[],
  revisions: readonly ControllerRevision[],
): ResolvedSizing {
  const { instancetype, preference } = vm.spec;
  const find = (
    matcher: Matcher | undefined,
    kind: string,
    known: SizingReference | undefined,
    what: string,
  ) => (matcher === undefined ? undefined : findOne(vm, matcher, kind, known, what, objects, revisions));
  const type = find(instancetype, CLUSTER_INSTANCETYPE, vm.status?.instancetypeRef, 'instancetype');
  const taste = find(preference, CLUSTER_PREFERENCE, vm.status?.preferenceRef, 'preference');
  for (const each of [type, taste])
    if (each !== undefined && 'problem' in each) return { sizing: each, revisions: [] };
  const [foundType, foundTaste] = [type, taste] as [Found | undefined, Found | undefined];
  return {
    sizing: {
      ...(foundType === undefined
        ? {}
        : { instancetype: foundType.spec as NonNullable<Sizing['instancetype']> }),
      ...(foundTaste === undefined ? {} : { preference: foundTaste.spec }),
    },
    ...(foundType === undefined ? {} : { instancetypeRef: foundType.reference }),
    ...(foundTaste === undefined ? {} : { preferenceRef: foundTaste.reference }),
    revisions: [foundType?.revision, foundTaste?.revision].filter((revision) => revision !== undefined),
  };
}

function findOne(
  vm: VirtualMachine,
  matcher: Matcher,
  otherwise: string,
  known: SizingReference | undefined,
  what: string,
  objects: readonly SizingObject[],
  revisions: readonly ControllerRevision[],
): Found | { readonly problem: string } {
  const { kind, name } = matched(matcher, otherwise);
  const kept = known?.kind === kind && known.name === name ? known.controllerRevisionRef?.name : undefined;
  const revision = revisions.find(
    (each) => each.metadata.name === kept && each.metadata.namespace === vm.metadata.namespace,
  );
  if (revision !== undefined && known !== undefined)
    return { spec: (revision.data as SizingObject).spec, reference: known };
  const namespace = kind.includes('Cluster') ? undefined : vm.metadata.namespace;
  const object = objects.find(
    (each) => each.kind === kind && each.metadata.name === name && each.metadata.namespace === namespace,
  );
  if (object === undefined) {
    const resource = `${kind.toLowerCase()}s.instancetype.kubevirt.io`;
    return { problem: `Failure to find ${what}: ${resource} "${name}" not found` };
  }
  const made = sizingRevision(vm, object);
  return {
    spec: object.spec,
    reference: { name, kind, controllerRevisionRef: { name: made.metadata.name } },
    revision: made,
  };
}
