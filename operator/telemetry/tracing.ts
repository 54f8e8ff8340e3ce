import type { Logger } from './logger.ts';
import { NO_TRACER, type Tracer } from './tracer.ts';

/** Environment variables, by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

export interface TracingOptions {
  /** `OTEL_*` as OpenTelemetry defines them; docs/operations.md lists those that are heeded. */
  readonly environment: Environment;
  /** `service.name` and `service.version`, unless the environment names others. */
  readonly service: string;
  readonly version: string;
  /** Further attributes of everything that this process tells. */
  readonly attributes: Readonly<Record<string, string>>;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
}

/** A tracer, and the duty to let it send what it has: disposing of it waits for that, a few seconds at most. */
export interface Tracing extends AsyncDisposable {
  readonly tracer: Tracer;
}

/**
 * Traces are sent when the environment names an endpoint of OTLP over HTTP, and has not turned them
 * off. Only then is anything of OpenTelemetry loaded.
 */
export async function startTracing(options: TracingOptions): Promise<Tracing> {
  if (!isTraced(options.environment))
    return { tracer: NO_TRACER, [Symbol.asyncDispose]: () => Promise.resolve() };
  const { openTelemetry } = await import('./open-telemetry.ts');
  return openTelemetry(options);
}

export function isTraced(environment: Environment): boolean {
  const set = (name: string): boolean => (environment[name] ?? '').trim() !== '';
  if (environment['OTEL_SDK_DISABLED']?.trim().toLowerCase() === 'true') return false;
  if (environment['OTEL_TRACES_EXPORTER']?.trim() === 'none') return false;
  return set('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT') || set('OTEL_EXPORTER_OTLP_ENDPOINT');
}
