import type { ReportProgress } from '../build/progress.ts';
import type { ArtifactStore } from '../build/publish.ts';
import { messageOf } from '../errors.ts';
import { inSpan, type Span, type Tracer } from '../telemetry/tracer.ts';

/**
 * A span for each step that ended, and for each blob that was pulled, as parts of the build's. They are made
 * when they end, by what they took. `now` in milliseconds since the epoch.
 */
export function traceReport(tracer: Tracer, build: Span, now: () => number): ReportProgress {
  const parent = build.traceparent;
  if (parent === undefined) return () => undefined;
  return (event) => {
    if (event.kind !== 'ended' && event.kind !== 'pulled') return;
    const begun = now() - event.seconds * 1000;
    const span =
      event.kind === 'ended'
        ? tracer.start(event.step, { parent, begun })
        : tracer.start('pull', {
            parent,
            begun,
            attributes: { 'oci.digest': event.digest, 'linuxkit.bytes': event.size },
          });
    span.end(event.problem);
  };
}

/** The store, with a span for each object that is written, as part of `parent`. */
export function tracedStore(store: ArtifactStore, tracer: Tracer, parent: Span): ArtifactStore {
  if (parent.traceparent === undefined) return store;
  return {
    head: (key, options) => store.head(key, options),
    get: (key, options) => store.get(key, options),
    put: (key, source, options) => {
      const attributes = { 'linuxkit.object': key, 'linuxkit.bytes': source.size };
      const span = tracer.start('put', { parent: parent.traceparent, attributes });
      return inSpan(span, () => store.put(key, source, options), messageOf);
    },
  };
}
