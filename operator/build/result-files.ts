/** Files that say what an artifact is made of and how, by their names in it. */
export const EVIDENCE_FILES = ['sbom.spdx.json', 'provenance.json'] as const;

/** Name of the archive of a root file system, and of what says how it was made. */
export const TAR_FILES = ['image.tar', 'image.tar.provenance.json'] as const;
