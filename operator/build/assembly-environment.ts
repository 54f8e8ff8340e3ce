import type { LayerStore } from '../oci/layer-store.ts';
import type { ImageLimits } from '../oci/limits.ts';
import type { BuildThread } from './build-thread.ts';
import type { MemberCache } from './member-cache.ts';
import type { ReportProgress } from './progress.ts';
import type { Slots } from './slots.ts';

/** What putting an initrd together needs of the world. */
export interface AssemblyEnvironment {
  readonly layers: LayerStore;
  readonly limits: ImageLimits;
  readonly cache: MemberCache | undefined;
  /** An empty folder on a disk with room for everything. */
  readonly folder: string;
  readonly thread: BuildThread;
  /** One for each core: what is compressed at the same time. */
  readonly slots: Slots;
  readonly signal: AbortSignal;
  readonly report: ReportProgress;
}
