import * as z from 'zod';
import { type Artifact, artifact } from '../../api/image.ts';
import { type LinuxKitMachine, parseMachine } from '../../api/machine.ts';
import { ANNOTATION_CAUSE, API_VERSION, LABEL_MACHINE, MACHINE_KIND } from '../../api/names.ts';
import { ObjectError } from '../../api/object.ts';
import { canonicalJson } from '../../kubevirt/canonical-json.ts';
import { ownedBy } from '../../kubevirt/owner.ts';
import {
  REVISION_FIELDS,
  type RevisionSpec,
  revisionName,
  revisionSpec,
  withRevisionSpec,
} from '../../kubevirt/revision.ts';
import type { KubeObject } from '../../runtime/objects.ts';
import { resource } from '../../runtime/resources.ts';

/** Everything that a machine of this revision starts with. */
export interface Revision {
  readonly name: string;
  /** The LinuxKitImage whose artifact it is. */
  readonly image: string;
  readonly artifact: Artifact;
  readonly spec: RevisionSpec;
}

/** A revision that was taken once, and is kept as a ControllerRevision. */
export interface StoredRevision extends Revision {
  readonly uid: string;
  /** Counts up; of the present one, it is the highest. */
  readonly number: number;
  readonly created?: string;
  readonly cause?: string;
}

/** apps/v1 ControllerRevision. Its `data` never changes; the API server sees to that. */
export interface ControllerRevision extends KubeObject {
  readonly revision: number;
  readonly data?: unknown;
}

export const CONTROLLER_REVISIONS = resource<ControllerRevision>({
  group: 'apps',
  version: 'v1',
  plural: 'controllerrevisions',
  kind: 'ControllerRevision',
});

/** What image and spec make together. */
export function revisionOf(machine: LinuxKitMachine, from: Artifact): Revision {
  return {
    name: revisionName(machine, from),
    image: machine.spec.imageRef.name,
    artifact: from,
    spec: revisionSpec(machine.spec),
  };
}

/** The machine as it was with a revision, for rendering it. */
export function machineAt(machine: LinuxKitMachine, { spec }: Pick<Revision, 'spec'>): LinuxKitMachine {
  return withRevisionSpec(machine, spec);
}

export function revisionObject(
  machine: LinuxKitMachine,
  { name, image, artifact: from, spec }: Revision,
  number: number,
  cause: string,
): ControllerRevision {
  const { namespace, name: label } = machine.metadata;
  return {
    apiVersion: 'apps/v1',
    kind: 'ControllerRevision',
    metadata: {
      name,
      namespace,
      labels: { [LABEL_MACHINE]: label },
      annotations: { [ANNOTATION_CAUSE]: cause },
      ownerReferences: [ownedBy(machine)],
    },
    revision: number,
    // The list of inputs is long, and nobody boots it.
    data: { image, artifact: { ...from, inputs: [] }, spec },
  };
}

const content = z.object({ image: z.string(), artifact, spec: z.looseObject({}) });

/**
 * A revision as it was stored. Undefined for one that does not fit the present schema: it was
 * written by another version, or by somebody else, and cannot be gone back to.
 */
export function readRevision(object: ControllerRevision): StoredRevision | undefined {
  const parsed = content.safeParse(object.data);
  if (!parsed.success) return undefined;
  const { image, artifact: from } = parsed.data;
  const { name, uid = '', namespace = '', creationTimestamp, annotations } = object.metadata;
  const spec = readSpec(image, parsed.data.spec, { name, namespace });
  if (spec === undefined) return undefined;
  const cause = annotations?.[ANNOTATION_CAUSE]?.slice(0, 256);
  return {
    name,
    image,
    artifact: from as Artifact,
    spec,
    uid,
    number: object.revision,
    ...(creationTimestamp === undefined ? {} : { created: creationTimestamp }),
    ...(cause === undefined ? {} : { cause }),
  };
}

/** Only the fields of revisions are taken, and they are read as those of any machine are. */
function readSpec(
  image: string,
  stored: Readonly<Record<string, unknown>>,
  metadata: { readonly name: string; readonly namespace: string },
): RevisionSpec | undefined {
  const fields: ReadonlySet<string> = new Set(REVISION_FIELDS);
  const spec = Object.fromEntries(Object.entries(stored).filter(([field]) => fields.has(field)));
  try {
    const machine = { apiVersion: API_VERSION, kind: MACHINE_KIND, metadata };
    return revisionSpec(parseMachine({ ...machine, spec: { imageRef: { name: image }, ...spec } }).spec);
  } catch (error) {
    if (error instanceof ObjectError) return undefined;
    throw error;
  }
}

/** What differs, in the words of the spec: `artifact, kernelArgs`. */
export function causeOf(before: Revision | undefined, after: Revision): string {
  if (before === undefined) return 'first';
  const changed = REVISION_FIELDS.filter(
    (field) => canonicalJson(before.spec[field] ?? null) !== canonicalJson(after.spec[field] ?? null),
  );
  const artifacts = before.artifact.digest === after.artifact.digest ? [] : ['artifact'];
  const places = bootPlace(before) === bootPlace(after) ? [] : ['bootImage'];
  return [...artifacts, ...places, ...changed].join(', ') || 'the operator';
}

/** From where a revision's image is pulled, and with what. */
function bootPlace({ artifact: { bootImage } }: Revision): string {
  return canonicalJson([bootImage.repository ?? null, bootImage.pullSecretName ?? null]);
}
