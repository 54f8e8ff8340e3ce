/** Values of a span besides its name. Never a credential, never a whole object. */
export type SpanAttributes = Readonly<Record<string, string | number | boolean>>;

export interface SpanOptions {
  /** The span that this one is part of, as {@link Span.traceparent} has it; a trace of its own without one. */
  readonly parent?: string | undefined;
  readonly attributes?: SpanAttributes;
  /** When it began, milliseconds since the epoch; now if left out. */
  readonly begun?: number;
}

/** Something that takes time, as a trace shows it. */
export interface Span {
  /** For whoever goes on with it elsewhere, by W3C Trace Context; undefined when nobody will see the span. */
  readonly traceparent: string | undefined;
  set(attributes: SpanAttributes): void;
  /** To be called once. With `problem` it went wrong, for that reason. */
  end(problem?: string): void;
}

/** All that the rest of the program knows of tracing. */
export interface Tracer {
  start(name: string, options?: SpanOptions): Span;
}

const NO_SPAN: Span = { traceparent: undefined, set: () => undefined, end: () => undefined };

/** For everyone who has not asked for traces. */
export const NO_TRACER: Tracer = { start: () => NO_SPAN };

/** The trace that a `traceparent` names, 32 hex digits: what log lines are found by. */
export function traceIdOf(traceparent: string | undefined): string | undefined {
  return traceparent?.split('-')[1];
}

/** Runs `work` in a span that ends with it. `problemOf` tells what was thrown. */
export async function inSpan<T>(
  span: Span,
  work: () => Promise<T>,
  problemOf: (error: unknown) => string,
): Promise<T> {
  try {
    const result = await work();
    span.end();
    return result;
  } catch (error) {
    span.end(problemOf(error));
    throw error;
  }
}
