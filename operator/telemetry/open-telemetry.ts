import {
  ROOT_CONTEXT,
  type SpanContext,
  SpanStatusCode,
  TraceFlags,
  trace,
  type Tracer as UpstreamTracer,
} from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  type Sampler,
  type SpanExporter,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import type { Span, Tracer } from './tracer.ts';
import type { Environment, Tracing, TracingOptions } from './tracing.ts';

/** How long the end of a process waits for its last spans to be taken. */
const FLUSH_MS = 5_000;
/** Of one export with its retries, unless the environment says otherwise: within the time above. */
const EXPORT_MS = 4_000;
const MAX_TEXT = 1024;

/** Tracing by OpenTelemetry's SDK. `tracing.ts` imports this file when, and only when, it is wanted. */
export function openTelemetry(options: TracingOptions): Tracing {
  const { environment, service, version, attributes, logger } = options;
  const named = { 'service.name': service, 'service.version': version, ...attributes };
  const timeoutIsGiven = [
    environment['OTEL_EXPORTER_OTLP_TIMEOUT'],
    environment['OTEL_EXPORTER_OTLP_TRACES_TIMEOUT'],
  ].some((value) => value !== undefined);
  // Endpoint, headers, compression and authorities it takes from the environment itself.
  const otlp = new OTLPTraceExporter(timeoutIsGiven ? {} : { timeoutMillis: EXPORT_MS });
  const provider = new TracerProvider({
    resource: resourceFromAttributes(named).merge(detectResources({ detectors: [envDetector] })),
    sampler: samplerOf(environment),
    spanLimits: { attributeValueLengthLimit: MAX_TEXT },
    spanProcessors: [new BatchSpanProcessor({ exporter: toldOf(otlp, logger) })],
  });
  return {
    tracer: tracerOf(provider.getTracer('linuxkit-operator', version)),
    async [Symbol.asyncDispose]() {
      const late = Promise.withResolvers<void>();
      const timer = setTimeout(late.resolve, FLUSH_MS);
      // What goes wrong has been told by then, and costs nothing but spans.
      await Promise.race([provider.shutdown().catch(() => undefined), late.promise]);
      clearTimeout(timer);
    },
  };
}

function tracerOf(upstream: UpstreamTracer): Tracer {
  return {
    start(name, { parent, attributes = {}, begun } = {}) {
      const known = parent === undefined ? undefined : spanContextOf(parent);
      const context = known === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, known);
      const span = upstream.startSpan(
        name,
        { attributes, ...(begun === undefined ? {} : { startTime: begun }) },
        context,
      );
      const made: Span = {
        traceparent: span.isRecording() ? traceparentOf(span.spanContext()) : undefined,
        set: (more) => void span.setAttributes(more),
        end: (problem) => {
          if (problem !== undefined)
            span.setStatus({ code: SpanStatusCode.ERROR, message: problem.slice(0, MAX_TEXT) });
          span.end();
        },
      };
      return made;
    },
  };
}

const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?$/;

/** Undefined for what is no trace context: then a trace of its own begins. */
function spanContextOf(traceparent: string): SpanContext | undefined {
  const [, traceId, spanId, flags] = TRACEPARENT.exec(traceparent) ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  const traceFlags = Number.parseInt(flags, 16) & TraceFlags.SAMPLED;
  return { traceId, spanId, traceFlags, isRemote: true };
}

function traceparentOf({ traceId, spanId, traceFlags }: SpanContext): string {
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
}

/** `OTEL_TRACES_SAMPLER` and its argument, by the names that OpenTelemetry gives to samplers. */
function samplerOf(environment: Environment): Sampler {
  const argument = environment['OTEL_TRACES_SAMPLER_ARG']?.trim() ?? '';
  const ratio = new TraceIdRatioBasedSampler(argument === '' ? 1 : Number(argument));
  switch (environment['OTEL_TRACES_SAMPLER']?.trim()) {
    case 'always_on':
      return new AlwaysOnSampler();
    case 'always_off':
      return new AlwaysOffSampler();
    case 'traceidratio':
      return ratio;
    case 'parentbased_always_off':
      return new ParentBasedSampler({ root: new AlwaysOffSampler() });
    case 'parentbased_traceidratio':
      return new ParentBasedSampler({ root: ratio });
    default:
      return new ParentBasedSampler({ root: new AlwaysOnSampler() });
  }
}

/** Tells once that spans are not taken, and once that they are again: each failure would be a line every few seconds. */
function toldOf(exporter: OTLPTraceExporter, logger: TracingOptions['logger']): SpanExporter {
  let failing = false;
  return {
    export(spans, done) {
      exporter.export(spans, (result) => {
        // The enum's own name is in a package that is not ours to import.
        const code: number = result.code;
        const failed = code !== 0;
        if (failed && !failing)
          logger.warn('traces cannot be sent; they are lost meanwhile', { error: result.error?.message });
        if (!failed && failing) logger.info('traces are sent again');
        failing = failed;
        done(result);
      });
    },
    forceFlush: () => exporter.forceFlush(),
    shutdown: () => exporter.shutdown(),
  };
}
