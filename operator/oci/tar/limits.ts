/**
 * What a tar archive may ask of its reader. Defaults are far above what images hold and far
 * below what hurts; an error that hits one carries its name.
 */
export interface TarLimits {
  /** Header blocks, those of PAX and GNU records included. */
  readonly maxTarHeaders: number;
  /** Bytes of one PAX or GNU record. Extended attributes are the largest things there. */
  readonly maxTarRecordBytes: number;
  /** Bytes of a path or a link's target: Linux's PATH_MAX without the final NUL. */
  readonly maxTarPathBytes: number;
  /** Bytes of the whole archive. */
  readonly maxTarBytes: number;
  /** Bytes of all paths, link targets and attributes together, since an index keeps them in memory. */
  readonly maxTarMetadataBytes: number;
}

export const TAR_LIMITS: TarLimits = {
  maxTarHeaders: 1_000_000,
  maxTarRecordBytes: 1 << 20,
  maxTarPathBytes: 4095,
  maxTarBytes: 16 * 2 ** 30,
  maxTarMetadataBytes: 64 << 20,
};
