import type { z } from 'zod';

/**
 * A rule that spans fields or that a pattern cannot say. It is written twice, side by side:
 * in CEL, which the API server evaluates at `kubectl apply`, and in TypeScript, which
 * holds wherever an object is read without an API server in between. A table of wrong
 * objects runs against both, so that they cannot drift apart.
 */
export interface Rule<T> {
  /** Common Expression Language over `self` (Kubernetes, "Validation rules"). */
  readonly cel: string;
  /** What is wrong and what to do, as the person who wrote the object reads it. */
  readonly message: string;
  /** The member that is at fault, when the rule stands on the object around it. */
  readonly field?: string;
  /** The rule in TypeScript. Left out for transition rules, which need the object as it was. */
  readonly holds?: (value: T) => boolean;
}

/** Where the API server looks for CEL rules in a schema. */
const VALIDATIONS = 'x-kubernetes-validations';

interface ValidationRule {
  readonly rule: string;
  readonly message: string;
  readonly fieldPath?: string;
}

/** The schema with the rules attached: as refinements for parsing, and as `x-kubernetes-validations` for the CRD. */
export function withRules<S extends z.ZodType>(schema: S, rules: readonly Rule<z.output<S>>[]): S {
  let result: z.ZodType = schema;
  const earlier = schema.meta()?.[VALIDATIONS];
  const validations: unknown[] = Array.isArray(earlier) ? [...earlier] : [];
  for (const { cel, message, field, holds } of rules) {
    const validation: ValidationRule = {
      rule: cel,
      message,
      ...(field === undefined ? {} : { fieldPath: `.${field}` }),
    };
    validations.push(validation);
    if (holds !== undefined) {
      result = result.refine((value) => holds(value as z.output<S>), {
        message,
        ...(field === undefined ? {} : { path: [field] }),
      });
    }
  }
  return result.meta({ ...schema.meta(), [VALIDATIONS]: validations }) as S;
}

/** True if exactly one of the named members is present. */
export function exactlyOne<T extends object>(...members: readonly (keyof T)[]): (value: T) => boolean {
  return (value) => members.filter((member) => value[member] !== undefined).length === 1;
}

/** {@link exactlyOne} in CEL. */
export function exactlyOneCel(...members: readonly string[]): string {
  return `[${members.map((member) => `has(self.${member})`).join(', ')}].exists_one(present, present)`;
}

/** A list merged by server-side apply entry by entry, told apart by `keys`; duplicates are refused. */
export function listMap(...keys: readonly string[]): Record<string, unknown> {
  return { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': [...keys] };
}

/** A list whose owner owns all of it. */
export const ATOMIC_LIST: Record<string, unknown> = { 'x-kubernetes-list-type': 'atomic' };
/** An object that is owned whole. */
export const ATOMIC_MAP: Record<string, unknown> = { 'x-kubernetes-map-type': 'atomic' };
