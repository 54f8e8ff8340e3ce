import type { EventRecorder } from '../../operator/runtime/event-recorder.ts';
import type { KubeObject, Stored } from '../../operator/runtime/objects.ts';
import type { Told } from './api/types.ts';

/** Records KubeVirt's events of an object. */
export function record(
  recorder: EventRecorder | undefined,
  about: { readonly metadata: object },
  told: readonly Told[],
): void {
  for (const { type, reason, note } of told)
    recorder?.record(about as Stored<KubeObject>, { type, reason, action: reason, note });
}
