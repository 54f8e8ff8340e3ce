import { access, realpath } from 'node:fs/promises';
import { basename, join } from 'node:path';

import type { Entry } from '../entry.ts';
import { ImageError } from '../image-error.ts';
import { dynamicNeeds } from './elf.ts';

/** Where Debian's amd64 packages keep shared libraries, and its dynamic linker looks for them. */
const SEARCHED = ['lib/x86_64-linux-gnu', 'usr/lib/x86_64-linux-gnu', 'lib64', 'usr/lib64'];

/**
 * The dynamic linker and every shared library that the programs (paths on disk) need,
 * directly or not, taken from the unpacked packages in `trees`. Throws `LibraryMissing`
 * naming a library that none of them has.
 */
export async function sharedLibraries(
  programs: readonly string[],
  trees: readonly string[],
): Promise<readonly Entry[]> {
  const entries = new Map<string, Entry>();
  const queue = [...programs];
  for (let path = queue.shift(); path !== undefined; path = queue.shift()) {
    const needs = await dynamicNeeds(path);
    if (needs === undefined) continue;
    const wanted = needs.libraries.map((name) => ({ name, place: `usr/lib/x86_64-linux-gnu/${name}` }));
    if (needs.interpreter !== undefined) {
      wanted.push({ name: basename(needs.interpreter), place: needs.interpreter.replace(/^\/+/, '') });
    }
    for (const { name, place } of wanted) {
      // Libraries name the dynamic linker too; it is found where programs name it.
      if (entries.has(place) || (name.startsWith('ld-linux') && place.startsWith('usr/'))) continue;
      const found = await locate(name, trees);
      if (found === undefined) {
        throw new ImageError(
          'LibraryMissing',
          `${path} needs ${name}, which none of the packages at hand has`,
        );
      }
      entries.set(place, { type: 'file', path: place, content: { disk: found }, mode: 0o755 });
      queue.push(found);
    }
  }
  return [...entries.values()];
}

async function locate(name: string, trees: readonly string[]): Promise<string | undefined> {
  for (const tree of trees) {
    for (const folder of SEARCHED) {
      const candidate = join(tree, folder, name);
      // An absolute link inside a package points into this machine's root: try the other folders.
      const real = await realpath(candidate).catch(() => undefined);
      if (real?.startsWith(`${tree}/`) && (await readable(real))) return real;
    }
  }
  return undefined;
}

async function readable(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
