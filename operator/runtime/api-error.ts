import { CodedError } from '../errors.ts';

export type ApiErrorCode =
  | 'NotFound'
  | 'AlreadyExists'
  | 'Conflict'
  | 'Gone'
  | 'Invalid'
  | 'BadRequest'
  | 'Unauthorized'
  | 'Forbidden'
  | 'TooManyRequests'
  | 'Timeout'
  | 'ServerError'
  | 'Unreachable'
  | 'InvalidAnswer';

/** The part of a `metav1.Status` that says why. */
export interface StatusDetails {
  readonly reason?: string;
  readonly message?: string;
  /** `field: message`, from `details.causes`. */
  readonly causes?: readonly string[];
  readonly retryAfterSeconds?: number;
}

/** The API server refused, or was not reached. */
export class ApiError extends CodedError<ApiErrorCode> {
  /** HTTP status; absent when there was no answer. */
  readonly status: number | undefined;
  /** `reason` of the Status object: finer than `code`, for instance `Expired`. */
  readonly reason: string | undefined;
  readonly causes: readonly string[];
  readonly retryAfterSeconds: number | undefined;

  constructor(
    code: ApiErrorCode,
    message: string,
    details: StatusDetails & { readonly status?: number; readonly cause?: unknown } = {},
  ) {
    super(code, message, { cause: details.cause });
    this.status = details.status;
    this.reason = details.reason;
    this.causes = details.causes ?? [];
    this.retryAfterSeconds = details.retryAfterSeconds;
  }
}

const MESSAGE_LIMIT = 2048;

/** Makes an error of an HTTP status of 400 or more and the body that came with it. */
export function errorOfStatus(request: string, status: number, body: string, retryAfter?: number): ApiError {
  const details = parseStatus(body);
  const code = codeOf(status, details.reason);
  const text = (details.message ?? body.trim()).slice(0, MESSAGE_LIMIT);
  const retryAfterSeconds = retryAfter ?? details.retryAfterSeconds;
  return new ApiError(code, `${request}: ${code} (HTTP ${status})${text === '' ? '' : `: ${text}`}`, {
    ...details,
    status,
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  });
}

function codeOf(status: number, reason: string | undefined): ApiErrorCode {
  switch (status) {
    case 400:
      return 'BadRequest';
    case 401:
      return 'Unauthorized';
    case 403:
      return 'Forbidden';
    case 404:
      return 'NotFound';
    case 409:
      return reason === 'AlreadyExists' ? 'AlreadyExists' : 'Conflict';
    case 410:
      return 'Gone';
    case 422:
      return 'Invalid';
    case 429:
      return 'TooManyRequests';
    case 504:
      return 'Timeout';
    default:
      return status >= 500 ? 'ServerError' : 'BadRequest';
  }
}

function parseStatus(body: string): StatusDetails {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    return {};
  }
  return detailsOf(parsed);
}

/** Reads a Status object (from a body, or from an ERROR event of a watch) without believing its shape. */
export function detailsOf(value: unknown): StatusDetails {
  if (typeof value !== 'object' || value === null) return {};
  const { reason, message, details } = value as { reason?: unknown; message?: unknown; details?: unknown };
  const { causes, retryAfterSeconds } = (typeof details === 'object' && details !== null ? details : {}) as {
    causes?: unknown;
    retryAfterSeconds?: unknown;
  };
  return {
    ...(typeof reason === 'string' ? { reason } : {}),
    ...(typeof message === 'string' ? { message } : {}),
    ...(Array.isArray(causes) ? { causes: causes.slice(0, 50).map(causeText) } : {}),
    ...(typeof retryAfterSeconds === 'number' && retryAfterSeconds > 0 ? { retryAfterSeconds } : {}),
  };
}

function causeText(cause: unknown): string {
  const { field, message } = (cause ?? {}) as { field?: unknown; message?: unknown };
  const parts = [field, message].filter((part) => typeof part === 'string');
  return parts.join(': ').slice(0, MESSAGE_LIMIT);
}

function isApiError(error: unknown, code: ApiErrorCode): error is ApiError {
  return error instanceof ApiError && error.code === code;
}

export const isNotFound = (error: unknown): error is ApiError => isApiError(error, 'NotFound');
export const isAlreadyExists = (error: unknown): error is ApiError => isApiError(error, 'AlreadyExists');
/** Someone else changed the object first, or a precondition did not hold: read it again and decide anew. */
export const isConflict = (error: unknown): error is ApiError => isApiError(error, 'Conflict');
/** The resource version asked for is compacted away: only a new list helps. */
export const isGone = (error: unknown): error is ApiError => isApiError(error, 'Gone');
export const isForbidden = (error: unknown): error is ApiError => isApiError(error, 'Forbidden');
/** The API server will say the same again until the object, or the operator's rights, change. */
export const isRefused = (error: unknown): error is ApiError =>
  isApiError(error, 'Invalid') || isApiError(error, 'BadRequest') || isForbidden(error);
