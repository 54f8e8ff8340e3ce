import { CodedError } from '../../errors.ts';
import type { EndpointErrorCode } from './protocol.ts';

/** A refusal that the endpoint gives to a pod; `code` also decides the HTTP status. */
export class EndpointError extends CodedError<EndpointErrorCode> {
  /** For `Throttled`: seconds until trying again can succeed. */
  readonly retryAfter: number | undefined;

  constructor(
    code: EndpointErrorCode,
    message: string,
    options: { readonly cause?: unknown; readonly retryAfter?: number } = {},
  ) {
    super(code, message, options);
    this.retryAfter = options.retryAfter;
  }
}
