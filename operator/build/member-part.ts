import { join } from 'node:path';
import { arrange } from '../initramfs/arrange.ts';
import { compressorName } from '../initramfs/compressor.ts';
import type { Entry } from '../initramfs/entry.ts';
import { deviceOf, writeMember } from '../initramfs/member.ts';
import type { AssemblyEnvironment } from './assembly-environment.ts';
import { hashOf } from './identity.ts';
import { adjust } from './image-tree.ts';
import type { InitrdPart } from './initrd.ts';
import type { OpenTrees } from './open-trees.ts';
import type { Adjustment } from './overlay.ts';
import type { Compression } from './record.ts';
import { ENGINE_SALTS } from './salts.ts';
import type { MemberSource } from './sources.ts';
import { parseMemberFacts } from './tree-facts.ts';
import { createFile, objectSource, type WorkFile } from './work-file.ts';

export const NO_ADJUSTMENT: Adjustment = { moves: [], removed: [] };

/** Everything that determines a member's bytes. */
export function memberHash(source: MemberSource, adjustment: Adjustment, compression: Compression): string {
  const { image, kind, place } = source;
  return hashOf({
    what: 'member',
    salts: ENGINE_SALTS,
    compressor: compressorName(compression),
    image: image.digest,
    kind,
    place,
    ...(source.kind === 'kernel' ? { tar: source.step.tar } : {}),
    adjustment,
  });
}

/** The member of a source, if an earlier build left it in the cache. */
export async function cachedMember(
  source: MemberSource,
  hash: string,
  environment: AssemblyEnvironment,
): Promise<InitrdPart | undefined> {
  const facts = await environment.cache?.record(hash, parseMemberFacts);
  return facts && { name: source.name, ...facts };
}

/** Makes the member of a source from its image, and leaves it in the cache. */
export async function makeMember(
  source: MemberSource,
  adjustment: Adjustment,
  compression: Compression,
  trees: OpenTrees,
  environment: AssemblyEnvironment,
): Promise<InitrdPart> {
  const { tree } = await (source.kind === 'kernel' ? trees.openKernel(source) : trees.open(source));
  const part = await writePart(adjust(tree.entries, adjustment), {
    name: source.name,
    // Not the location: the same image at another place of the list is the same member.
    place: `${source.kind} ${source.place} ${source.image.digest}`,
    compression,
    trailer: false,
    environment,
  });
  await trees.close(source);
  if (environment.cache !== undefined) {
    await environment.cache.putData(objectSource(part.file));
    await environment.cache.putRecord(memberHash(source, adjustment, compression), {
      stored: part.stored,
      archive: part.archive,
    });
  }
  return part;
}

let files = 0;

/** Writes entries as one member to a file of its own. */
export async function writePart(
  entries: readonly Entry[],
  options: {
    readonly name: string;
    readonly place: string;
    readonly compression: Compression;
    readonly trailer: boolean;
    /** Whether a folder exists in an earlier part. */
    readonly outside?: (path: string) => boolean;
    readonly environment: AssemblyEnvironment;
  },
): Promise<InitrdPart & { readonly file: WorkFile }> {
  const { name, place, environment } = options;
  const { folder, parallel, signal } = environment;
  const arranged = arrange(entries, options.outside);
  files += 1;
  const path = join(folder, `member-${files}`);
  const { stored, archive } = await createFile(path, (sink) =>
    writeMember(
      arranged,
      {
        device: deviceOf(place),
        trailer: options.trailer,
        compression: options.compression,
        parallel,
        signal,
      },
      sink,
    ),
  );
  environment.report({ kind: 'member', name, cached: false, size: stored.size });
  return { name, stored, archive, file: { path, ...stored } };
}
