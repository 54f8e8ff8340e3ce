import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { program } from '../images/entry.ts';
import { archiveImage } from '../images/oci-archive.ts';
import { OciLayout } from '../images/oci-layout.ts';
import { writeImage } from '../images/oci-writer.ts';

/** The image of every pod's sandbox. It is imported and pinned, never pulled. */
export const pauseImage = 'linuxkit.dev/pause:1';

/** Writes the sandbox image as an archive and returns its path. */
export async function writePauseArchive(pause: string, folder: string, signal: AbortSignal): Promise<string> {
  const image = await writeImage(new OciLayout(join(folder, 'pause')), {
    layers: [{ entries: [program('pause', { disk: pause })] }],
    config: { Entrypoint: ['/pause'] },
  });
  const archive = join(folder, 'pause.tar');
  await pipeline(archiveImage(image, pauseImage, signal), createWriteStream(archive), { signal });
  return archive;
}
