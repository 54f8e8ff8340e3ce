import { rfc3339 } from '../../api/conditions.ts';
import { durationMilliseconds } from '../../api/duration.ts';
import type { LinuxKitImage } from '../../api/image.ts';

export interface RefreshTick {
  /** The tick that a build now belongs to, RFC 3339; empty before the first. Part of the build hash. */
  readonly tick: string;
  /** When the next one falls due, milliseconds since the epoch. */
  readonly nextAt?: number;
}

/**
 * Ticks lie at whole intervals after the last refresh, or after the first build. They follow from
 * the status alone: a manager that was away for a week builds once, not once for every interval, and
 * one that restarts in the middle of a refresh finds the same tick again.
 */
export function refreshTick(image: LinuxKitImage, now: number): RefreshTick {
  const last = image.status?.lastRefresh;
  const base = Date.parse(last ?? image.status?.artifact?.created ?? '');
  const interval = durationMilliseconds(image.spec.refresh?.interval ?? '');
  if (interval === undefined || interval < 1000 || Number.isNaN(base)) return { tick: last ?? '' };
  // Whole seconds, as the tick is written, and at most a tenth later: images applied together spread out.
  const spread = Math.floor((interval / 10_000) * fraction(image.metadata.uid)) * 1000;
  const passed = Math.floor((now - base - spread) / interval);
  if (passed < 1) return { tick: last ?? '', nextAt: base + spread + interval };
  const tick = base + passed * interval;
  return { tick: rfc3339(new Date(tick)), nextAt: tick + spread + interval };
}

/** A number in [0, 1) that an object keeps for life. */
function fraction(uid: string): number {
  return (Number.parseInt(uid.replaceAll('-', '').slice(0, 8), 16) || 0) / 2 ** 32;
}
