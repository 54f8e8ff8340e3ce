import { readdir, readFile } from 'node:fs/promises';
import { identify, type ProcessIdentity } from './identity.ts';

/** The processes that have `text` in their command line; this one is left out. */
export async function processesNaming(
  text: string,
): Promise<readonly (ProcessIdentity & { readonly command: string })[]> {
  const found: (ProcessIdentity & { readonly command: string })[] = [];
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry) || Number(entry) === process.pid) continue;
    const command = await readFile(`/proc/${entry}/cmdline`, 'utf8').catch(() => '');
    if (!command.includes(text)) continue;
    const identity = identify(Number(entry));
    if (identity === undefined) continue;
    found.push({ ...identity, command: command.replaceAll('\0', ' ').trim().slice(0, 200) });
  }
  return found;
}
