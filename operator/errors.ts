/**
 * An error that a program can act on and a person can read.
 *
 * `code` is stable across releases; `message` says what happened, where (file, line and
 * column, field path, digest, key) and what to do. Neither ever carries a credential.
 * Each folder declares the union of its own codes.
 */
export class CodedError<Code extends string = string> extends Error {
  readonly code: Code;

  constructor(code: Code, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** The text of anything that can be thrown, without a stack. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
