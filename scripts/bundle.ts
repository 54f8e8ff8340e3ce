/**
 * Bundles the program: `node scripts/bundle.ts OUTDIR [ENTRY]`. What the entry imports when it is called for, its
 * subcommands, becomes a program in a folder of its own: a build pod never parses the Kubernetes client, and
 * nobody opens thirty files, shared with others, to start one.
 */
import { rm, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { type BuildOptions, build, type Plugin } from 'esbuild';

const [outdir = 'dist', entry = 'operator/main.ts'] = process.argv.slice(2);

const OPTIONS = {
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
} as const satisfies BuildOptions;

/** Files by name. */
const subcommands = new Map<string, string>();

const apart: Plugin = {
  name: 'apart',
  setup(bundling) {
    bundling.onResolve({ filter: /^\.\.?\// }, ({ kind, importer, path, resolveDir }) => {
      if (kind !== 'dynamic-import' || importer !== resolve(entry)) return undefined;
      const name = basename(path, '.ts');
      subcommands.set(name, join(resolveDir, path));
      return { path: `./${name}/${name}.js`, external: true };
    });
  },
};

/**
 * The part of undici that the program uses: with its mocks, caches and fetch it takes twice as long to load. Names
 * that are not here fail the bundling.
 */
const UNDICI = `
  import request from 'undici/lib/api/api-request.js';
  import Dispatcher from 'undici/lib/dispatcher/dispatcher.js';
  Dispatcher.prototype.request = request;
  export { default as Agent } from 'undici/lib/dispatcher/agent.js';
  export { default as Pool } from 'undici/lib/dispatcher/pool.js';
  export { default as ProxyAgent } from 'undici/lib/dispatcher/proxy-agent.js';
`;

const slimUndici: Plugin = {
  name: 'slim-undici',
  setup(bundling) {
    bundling.onResolve({ filter: /^undici$/ }, ({ importer }) =>
      importer.includes('/node_modules/') ? undefined : { path: 'undici', namespace: 'slim' },
    );
    bundling.onLoad({ filter: /.*/, namespace: 'slim' }, () => ({
      contents: UNDICI,
      resolveDir: process.cwd(),
    }));
  },
};

await rm(outdir, { recursive: true, force: true });
await build({
  ...OPTIONS,
  // Threads are started from files of their own, which lie one folder above the program.
  entryPoints: { main: entry, thread: 'operator/build/thread.ts' },
  outdir,
  plugins: [apart, slimUndici],
});
await Promise.all(
  subcommands
    .entries()
    .map(([name, file]) =>
      build({ ...OPTIONS, entryPoints: { [name]: file }, outdir: join(outdir, name), plugins: [slimUndici] }),
    ),
);
// Otherwise Node finds out by compiling each file twice.
await writeFile(join(outdir, 'package.json'), '{"type":"module"}\n');
