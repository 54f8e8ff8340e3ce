/**
 * Bundles the program: `node scripts/bundle.ts OUTDIR [ENTRY]`. One ESM file for each thing that
 * is loaded on its own (subcommands are imported when they are called, so a build pod
 * never parses the Kubernetes client).
 */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';

const [outdir = 'dist', entry = 'operator/main.ts'] = process.argv.slice(2);
await rm(outdir, { recursive: true, force: true });
await build({
  // Threads are started from files of their own, which lie beside the program.
  entryPoints: { main: entry, thread: 'operator/build/thread.ts' },
  outdir,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  minifySyntax: true,
  minifyWhitespace: true,
  sourcemap: 'linked',
  sourcesContent: false,
  legalComments: 'linked',
  logLevel: 'warning',
  // CommonJS dependencies call require() for Node's own modules.
  banner: {
    js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
  },
});
// Otherwise Node finds out by compiling each file twice.
await writeFile(join(outdir, 'package.json'), '{"type":"module"}\n');
