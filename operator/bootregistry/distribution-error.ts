import { CodedError } from '../errors.ts';

/** Codes of the OCI distribution specification ("Error codes"), and what registries add to them, with their status. */
export const DISTRIBUTION_ERRORS = {
  BLOB_UNKNOWN: 404,
  MANIFEST_UNKNOWN: 404,
  NAME_UNKNOWN: 404,
  NAME_INVALID: 400,
  DIGEST_INVALID: 400,
  UNSUPPORTED: 405,
  RANGE_INVALID: 416,
  TOOMANYREQUESTS: 429,
  UNKNOWN: 500,
  UNAVAILABLE: 503,
} as const;
export type DistributionErrorCode = keyof typeof DISTRIBUTION_ERRORS;

/** A refusal as a client of a registry understands it. */
export class DistributionError extends CodedError<DistributionErrorCode> {
  get status(): number {
    return DISTRIBUTION_ERRORS[this.code];
  }

  /** The answer's body (distribution-spec, "Error codes"). */
  get body(): string {
    return JSON.stringify({ errors: [{ code: this.code, message: this.message }] });
  }
}
