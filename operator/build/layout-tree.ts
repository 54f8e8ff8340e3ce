import type { Entry, FileContent } from '../initramfs/entry.ts';
import { type ImageLayout, layoutBlobPath, layoutFiles } from '../oci/image-layout.ts';
import type { Digest } from '../oci/types.ts';
import { fileEntry } from './generated.ts';
import { below, type ImageTree } from './image-tree.ts';

/** Everything in a layout is root's and as old as time. */
const METADATA = { uid: 0, gid: 0, mtime: 0 } as const;

/**
 * An OCI layout as files below `place`, as LinuxKit puts it into a volume's `lower`. `blobs` says where the
 * bytes of configurations and layers are.
 */
export function layoutTree(
  layout: ImageLayout,
  blobs: (digest: Digest) => FileContent,
  place: string,
): ImageTree {
  const folders = ['blobs', 'blobs/sha256'].map(
    (path): Entry => ({ type: 'directory', path, mode: 0o755, ...METADATA }),
  );
  const files = new Map<string, Entry>();
  for (const { path, bytes } of layoutFiles(layout))
    files.set(path, fileEntry({ path, mode: 0o644, ...METADATA }, bytes));
  for (const { digest, size } of layout.blobs) {
    const path = layoutBlobPath(digest);
    if (files.has(path)) continue;
    files.set(path, { type: 'file', path, mode: 0o644, ...METADATA, size, content: blobs(digest) });
  }
  return { entries: below(place, [...folders, ...files.values()]), implied: new Set() };
}
