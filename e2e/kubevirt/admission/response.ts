import type { Cause } from './cause.ts';

/** The response of an admission.k8s.io/v1 review. */
export interface ReviewResponse {
  readonly uid: string;
  readonly allowed: boolean;
  readonly patchType?: 'JSONPatch';
  /** Base64. */
  readonly patch?: string;
  readonly status?: object;
}

export function admitted(uid: string, patch: readonly object[] = []): ReviewResponse {
  if (patch.length === 0) return { uid, allowed: true };
  const text = Buffer.from(JSON.stringify(patch)).toString('base64');
  return { uid, allowed: true, patchType: 'JSONPatch', patch: text };
}

/** Refused for these causes; admitted without any. */
export function refused(uid: string, causes: readonly Cause[]): ReviewResponse {
  if (causes.length === 0) return admitted(uid);
  return {
    uid,
    allowed: false,
    status: {
      code: 422,
      reason: 'Invalid',
      message: causes.map((cause) => cause.message).join(', '),
      details: { causes: causes.map((cause) => ({ reason: 'FieldValueInvalid', ...cause })) },
    },
  };
}

/** Not now: whoever asks, asks again. */
export function tooManyRequests(uid: string, message: string): ReviewResponse {
  return { uid, allowed: false, status: { code: 429, reason: 'TooManyRequests', message } };
}
