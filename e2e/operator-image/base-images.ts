import { createHash } from 'node:crypto';
import {
  chmod,
  copyFile,
  cp,
  mkdir,
  mkdtemp,
  readFile,
  realpath,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { run } from '../process/run.ts';

/** Base images for the Dockerfile's arguments, made from this Debian machine where none can be pulled. */
export interface BaseImages {
  /** Shell, Node and npm. */
  readonly build: string;
  /** C and C++ libraries, CA certificates, and a user. */
  readonly runtime: string;
}

const CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt';

/** Imports the two images into the Docker engine at `env`, unless they are there. */
export async function makeBaseImages(
  env: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<BaseImages> {
  const libraries = await sharedLibraries(process.execPath, signal);
  const tag = await identity([process.execPath, ...libraries, CERTIFICATES]);
  const images: BaseImages = {
    build: `linuxkit-operator-base-build:${tag}`,
    runtime: `linuxkit-operator-base-runtime:${tag}`,
  };
  const present = await run('docker', ['image', 'ls', '--format', '{{.Repository}}:{{.Tag}}'], {
    signal,
    env,
  });
  if (present.split('\n').includes(images.build) && present.split('\n').includes(images.runtime))
    return images;

  const folder = await mkdtemp(join(tmpdir(), 'linuxkit-operator-base-'));
  try {
    await runtimeTree(folder, libraries);
    await importTree(folder, images.runtime, env, signal);
    await buildTree(folder, signal);
    await importTree(folder, images.build, env, signal);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return images;
}

async function identity(files: readonly string[]): Promise<string> {
  const hash = createHash('sha256').update('2');
  for (const file of files) hash.update(file).update(await readFile(file));
  return hash.digest('hex').slice(0, 12);
}

/** What the dynamic linker loads for a program, the linker itself included. */
async function sharedLibraries(program: string, signal: AbortSignal): Promise<string[]> {
  const listing = await run('ldd', [program], { signal });
  return [...listing.matchAll(/(?:=> )?(\/\S+) \(0x/g)].flatMap((match) => match[1] ?? []);
}

async function runtimeTree(root: string, libraries: readonly string[]): Promise<void> {
  for (const library of libraries) {
    await mkdir(join(root, dirname(library)), { recursive: true });
    await copyFile(await realpath(library), join(root, library));
    await chmod(join(root, library), 0o755);
  }
  await mkdir(join(root, dirname(CERTIFICATES)), { recursive: true });
  await copyFile(CERTIFICATES, join(root, CERTIFICATES));
  await writeFile(
    join(root, 'etc/passwd'),
    'root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n',
  );
  await writeFile(join(root, 'etc/group'), 'root:x:0:\nnonroot:x:65532:\n');
  await mkdir(join(root, 'tmp'), { mode: 0o777 });
  await chmod(join(root, 'tmp'), 0o1777);
}

/** Adds a shell and npm to the runtime's tree. npm is the machine's own: a script that runs under any Node. */
async function buildTree(root: string, signal: AbortSignal): Promise<void> {
  for (const folder of ['bin', 'usr/bin', 'usr/local/bin', 'usr/local/lib', 'root'])
    await mkdir(join(root, folder), { recursive: true });
  await copyFile('/bin/busybox', join(root, 'bin/busybox'));
  for (const applet of ['sh', 'mkdir', 'rm', 'cat', 'ls', 'cp'])
    await symlink('busybox', join(root, 'bin', applet));
  await symlink('/bin/busybox', join(root, 'usr/bin/env'));
  await copyFile(process.execPath, join(root, 'usr/local/bin/node'));
  const npm = dirname(
    dirname(await realpath((await run('sh', ['-c', 'command -v npm'], { signal })).trim())),
  );
  await cp(npm, join(root, 'usr/local/lib/npm'), { recursive: true, dereference: true });
  await symlink('../lib/npm/bin/npm-cli.js', join(root, 'usr/local/bin/npm'));
}

async function importTree(
  root: string,
  image: string,
  env: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<void> {
  const tar = `${root}.tar`;
  try {
    await run(
      'tar',
      [
        '--create',
        '--file',
        tar,
        '--directory',
        root,
        '--sort=name',
        '--owner=0',
        '--group=0',
        '--numeric-owner',
        '.',
      ],
      { signal },
    );
    // npm in the image trusts whom this machine trusts: its registry may be behind a private CA.
    const settings = ['ENV PATH=/usr/local/bin:/usr/bin:/bin', `ENV NODE_EXTRA_CA_CERTS=${CERTIFICATES}`];
    await run('docker', ['import', ...settings.flatMap((line) => ['--change', line]), tar, image], {
      signal,
      env,
      timeout: 300_000,
    });
  } finally {
    await rm(tar, { force: true });
  }
}
