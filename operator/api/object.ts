import * as z from 'zod';
import { CodedError } from '../errors.ts';

/**
 * Every level read-only: what is read from the API is never changed in place. A member is
 * absent or has a value; JSON knows no `undefined`.
 */
export type Immutable<T> = T extends (infer U)[]
  ? readonly Immutable<U>[]
  : T extends string | number | boolean | bigint | symbol | null | undefined
    ? T
    : T extends object
      ? { readonly [K in keyof T]: Immutable<Exclude<T[K], undefined>> }
      : T;

/** A Kubernetes object name that is used as a DNS label: at most 63 characters (RFC 1123). */
export const DNS_LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
/** A Kubernetes object name (RFC 1123 subdomain). */
export const DNS_SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

export const objectName = z.string().min(1).max(253).regex(DNS_SUBDOMAIN);
export const labelName = z.string().min(1).max(63).regex(DNS_LABEL);

/** RFC 3339. The API server checks the format; only its length is bounded here. */
export const timestamp = z.string().max(64).meta({ format: 'date-time' });

const ownerReference = z.object({
  apiVersion: z.string(),
  kind: z.string(),
  name: z.string(),
  uid: z.string(),
  controller: z.boolean().optional(),
  blockOwnerDeletion: z.boolean().optional(),
});

/** The part of ObjectMeta that controllers use. It has no place in a CRD: the API server owns it. */
export const objectMeta = z.object({
  name: z.string().min(1),
  namespace: z.string().min(1),
  uid: z.string().default(''),
  generation: z.int().default(0),
  resourceVersion: z.string().optional(),
  creationTimestamp: z.string().optional(),
  deletionTimestamp: z.string().optional(),
  labels: z.record(z.string(), z.string()).optional(),
  annotations: z.record(z.string(), z.string()).optional(),
  finalizers: z.array(z.string()).optional(),
  ownerReferences: z.array(ownerReference).optional(),
});

export type ObjectErrorCode = 'InvalidObject';

/** An object that does not fit its schema. The message names each field path and what is wrong with it. */
export class ObjectError extends CodedError<ObjectErrorCode> {}

/** At most this many problems are spelled out in one message. */
const SHOWN = 10;

/** `spec.files[0].path` from a path of keys and indices. */
export function fieldPath(path: readonly PropertyKey[]): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else text += text === '' ? String(part) : `.${String(part)}`;
  }
  return text === '' ? '(root)' : text;
}

/** Parses, or throws an {@link ObjectError} that names the kind and each offending field. */
export function parseObject<S extends z.ZodType>(
  kind: string,
  schema: S,
  value: unknown,
): Immutable<z.output<S>> {
  const result = schema.safeParse(value);
  if (result.success) return result.data as Immutable<z.output<S>>;
  const problems = result.error.issues
    .slice(0, SHOWN)
    .map((issue) => `${fieldPath(issue.path)}: ${issue.message}`);
  const more = result.error.issues.length - problems.length;
  throw new ObjectError(
    'InvalidObject',
    `${kind} is not valid: ${problems.join('; ')}${more > 0 ? `; and ${more} more` : ''}`,
  );
}
