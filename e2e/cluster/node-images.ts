import { run } from '../process/run.ts';
import { Failure } from '../progress/failure.ts';
import { containerdSocket } from './node-config.ts';

/**
 * Imports an image archive (OCI layout or `docker save`) into the node of an instance.
 * @throws Failure `CommandFailed` when the archive has no image named exactly `reference`.
 */
export async function importImage(
  ctr: string,
  folder: string,
  reference: string,
  archive: string,
  signal: AbortSignal,
): Promise<void> {
  const base = ['--address', containerdSocket(folder), '--namespace', 'k8s.io', 'images'];
  await run(ctr, [...base, 'import', archive], { signal, timeout: 600_000 });
  const listing = await run(ctr, [...base, 'list', '--quiet', `name==${reference}`], { signal });
  if (listing.trim() === reference) return;
  const all = await run(ctr, [...base, 'list', '--quiet'], { signal });
  throw new Failure('CommandFailed', `${archive} does not hold an image named ${reference}`, {
    log: all.trim(),
    advice: 'name the image in full: host, repository and tag',
  });
}
