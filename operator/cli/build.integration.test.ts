import { execFile, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ImagePublisher, INIT_ENTRIES, moduleEntries } from '../../e2e/build/image-publisher.ts';
import { OciLayout } from '../../e2e/images/oci-layout.ts';
import { type RegistryService, startRegistry } from '../../e2e/services/registry.ts';
import { COSIGN_DEADLINE, ISSUER, Signer, SUBJECT } from '../../e2e/signing/signer.ts';
import { readInitramfs } from '../initramfs/reader.ts';
import { unpack } from '../initramfs/unpack.ts';
import { RegistryClient } from '../oci/client.ts';
import { parseReference } from '../oci/reference.ts';
import { TestRegistry } from '../oci/registry/test-registry.ts';

const MAIN = join(import.meta.dirname, '..', 'main.ts');
const FILES = ['build.json', 'cmdline', 'initrd.img', 'kernel', 'provenance.json', 'sbom.spdx.json'];

let folder: string;
let registry: RegistryService;
let kernel: string;
let init: string;
let output: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cli-test-'));
  registry = await startRegistry({ authentication: true });
  await writeFile(join(folder, 'config.json'), dockerConfig());
  const open = await startRegistry();
  const images = new ImagePublisher(new OciLayout(join(folder, 'layout')), open.host);
  kernel = await images.publishKernel('kernel', moduleEntries('6.1.0'));
  init = await images.publish('init', [INIT_ENTRIES]);
  stops.push(() => open.stop());
  await writeFile(join(folder, 'kernel.yml'), `kernel: {image: "${kernel}", cmdline: console=ttyS0}\n`);
  await writeFile(join(folder, 'init.yml'), `init: ["${init}"]\n`);
});

const stops: (() => Promise<void>)[] = [];

beforeEach(async () => {
  await rm(join(folder, 'out'), { recursive: true, force: true });
  await mkdir(join(folder, 'out'));
  output = join(folder, 'out', 'result');
});

afterAll(async () => {
  await registry.stop();
  for (const stop of stops) await stop();
  await rm(folder, { recursive: true });
});

function dockerConfig(): string {
  const { username = '', password = '' } = registry.credentials ?? {};
  const auth = Buffer.from(`${username}:${password}`).toString('base64');
  return JSON.stringify({ auths: { [registry.host]: { auth } } });
}

interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function cli(args: readonly string[], input = ''): Promise<Finished> {
  const child = promisify(execFile)(process.execPath, [MAIN, ...args], {
    env: { ...process.env, DOCKER_CONFIG: folder, NODE_OPTIONS: '' },
    timeout: 60_000,
  });
  child.child.stdin?.end(input);
  try {
    return { code: 0, ...(await child) };
  } catch (error) {
    const { code, stdout, stderr } = error as Finished;
    return { code, stdout, stderr };
  }
}

/** What a failed build must leave behind: nothing. */
async function expectUntouched(): Promise<void> {
  expect(await readdir(join(folder, 'out'))).toEqual([]);
}

const config = (name: string): string => join(folder, name);

describe('build', () => {
  it('writes the result of several files merged', async () => {
    const { code, stderr } = await cli([
      'build',
      config('kernel.yml'),
      config('init.yml'),
      '--output',
      output,
    ]);
    expect(stderr).toMatch(/sha256:[0-9a-f]{64} built in .*zstd/);
    expect(code).toBe(0);
    expect((await readdir(output)).sort()).toEqual(FILES);
    expect(await readFile(join(output, 'cmdline'), 'utf8')).toBe('console=ttyS0');
    const { nodes, lost } = unpack(readInitramfs(await readFile(join(output, 'initrd.img'))));
    expect(lost).toEqual([]);
    expect(nodes.get('usr/lib/modules/6.1.0/virtio.ko')?.type).toBe('file');
    expect((await readdir(join(folder, 'out'))).sort()).toEqual(['result']);
    expect((await stat(output)).mode & 0o777).toBe(0o755);
  });

  it('reads standard input, and gives an initrd that other tools can unpack', async () => {
    const yaml = `${await readFile(config('kernel.yml'), 'utf8')}${await readFile(config('init.yml'), 'utf8')}`;
    const { code } = await cli(['build', '-', '--output', output, '--compression', 'gzip', '--quiet'], yaml);
    expect(code).toBe(0);
    // zlib's gunzip takes one member after the other, as zcat does.
    const archive = gunzipSync(await readFile(join(output, 'initrd.img')));
    expect(unpack(readInitramfs(archive)).nodes.get('init')?.data.toString()).toBe('#!/bin/sh');
  });

  it('makes the formats that are asked for, and leaves nothing of others in the folder', async () => {
    const args = ['build', config('kernel.yml'), config('init.yml'), '--output', output];
    const tarFiles = ['image.tar', 'image.tar.provenance.json'];
    const formats = async (...flags: string[]): Promise<string[]> => {
      const { code, stderr } = await cli([...args, ...flags]);
      expect([code, stderr]).toEqual([0, expect.stringMatching(/sha256:[0-9a-f]{64} (built|unchanged)/)]);
      return (await readdir(output)).sort();
    };
    expect(await formats('--format', 'tar')).toEqual(tarFiles);
    const { stdout } = await promisify(execFile)('tar', ['-tf', join(output, 'image.tar')]);
    expect(stdout.split('\n').slice(0, 3)).toEqual(['boot', 'boot/cmdline', 'boot/kernel']);
    expect(await formats('-f', 'tar,kernel+initrd')).toEqual([...FILES, ...tarFiles].sort());
    const record = await readFile(join(output, 'build.json'), 'utf8');
    expect(await formats()).toEqual(FILES);
    expect(await readFile(join(output, 'build.json'), 'utf8')).toBe(record);
    await writeFile(join(folder, 'outputs.yml'), 'outputs: [{format: tar}]\n');
    args.push(config('outputs.yml'));
    expect(await formats()).toEqual(tarFiles);
    expect(await formats('--format', 'kernel+initrd')).toEqual(FILES);
    const unknown = await cli([...args, '--format', 'iso-bios']);
    expect(unknown.stderr).toContain(
      'output format iso-bios is not made here; those that are made: kernel+initrd, tar',
    );
  });

  it('says when nothing has changed, and mends a result that was damaged', async () => {
    const args = ['build', config('kernel.yml'), '--output', output];
    await cli(args);
    const { mtimeMs } = await stat(join(output, 'initrd.img'));
    expect((await cli(args)).stderr).toMatch(/ unchanged: /);
    expect((await stat(join(output, 'initrd.img'))).mtimeMs).toBe(mtimeMs);
    await writeFile(join(output, 'initrd.img'), 'x');
    expect((await cli(args)).stderr).toMatch(/ built in /);
    expect((await stat(join(output, 'initrd.img'))).size).toBeGreaterThan(100);
  });

  it('leaves other files of the folder alone', async () => {
    await mkdir(output);
    await writeFile(join(output, 'notes.txt'), 'mine');
    const { code } = await cli(['build', config('kernel.yml'), '--output', output]);
    expect(code).toBe(0);
    expect((await readdir(output)).sort()).toEqual([...FILES, 'notes.txt'].sort());
  });

  it('uses the credentials of docker login', async () => {
    await writeFile(config('private.yml'), `kernel: {image: "${registry.host}/nothing:1"}`);
    const known = await cli(['build', config('private.yml'), '--output', output]);
    // The registry lets us in, and then has no such image.
    expect(known.stderr).toMatch(/error: ImageNotFound/);
    await expectUntouched();
  });
});

describe('a build of images that must be signed', () => {
  it(
    'takes keys and identities from files and flags, and mirrors',
    async () => {
      await using signer = await Signer.create(AbortSignal.timeout(COSIGN_DEADLINE));
      await writeFile(config('cosign.pub'), signer.publicKey);
      await writeFile(config('root.json'), signer.trustedRoot);
      const host = init.slice(0, init.indexOf('/'));
      // Answers, and has nothing.
      await using upstream = await TestRegistry.start();
      const yaml = (await readFile(config('kernel.yml'), 'utf8')).replace(host, upstream.name);
      const args = ['build', '-', '--output', output, '--registry-mirror', `${upstream.name}=${host}`];
      const trust = `trust: {image: ["${upstream.name}/kernel"]}\n`;
      const key = ['--verify-key', config('cosign.pub')];

      const without = await cli(args, yaml + trust);
      expect(without.stderr).toMatch(/error: InputVerificationFailed: trust asks .*\/kernel/);
      const useless = await cli([...args, ...key], yaml);
      expect(useless.stderr).toMatch(/error: InvalidLinuxKitConfig: trust names no image/);
      const unsigned = await cli([...args, ...key], yaml + trust);
      expect(unsigned.stderr).toMatch(
        /error: InputVerificationFailed: kernel: image .*\/kernel:1 .*sha256:.* has no signature/,
      );
      await expectUntouched();

      await using client = new RegistryClient();
      const deadline = AbortSignal.timeout(120_000);
      const digest = await client.resolveDigest(parseReference(kernel), deadline);
      await signer.signAsIdentity(`${host}/kernel@${digest}`, 'bundle', deadline);
      const identity = ['--verify-identity', `${ISSUER},/https://ci[.]example/.*/`];
      const signed = await cli([...args, ...identity, '--trusted-root', config('root.json')], yaml + trust);
      expect(signed.stderr).toContain(`kernel  signed by ${SUBJECT} by ${ISSUER}`);
      expect(signed.code).toBe(0);
      expect(JSON.parse(await readFile(join(output, 'build.json'), 'utf8'))).toMatchObject({
        inputs: [{ location: 'kernel', verifiedBy: { digest, signer: `${SUBJECT} by ${ISSUER}` } }],
      });
    },
    COSIGN_DEADLINE,
  );

  it.each(['maxTarHeaders', 'maxTreeNodes', 'maxManifestBytes', 'maxTarBytes'])(
    'holds to another %s, and names it',
    async (name) => {
      const files = [config('kernel.yml'), config('init.yml')];
      const { code, stderr } = await cli(['build', ...files, '--output', output, '--limit', `${name}=1`]);
      expect(stderr).toMatch(`more than ${name} allows (1)`);
      expect(code).toBe(1);
      await expectUntouched();
    },
  );

  it('refuses flags that are none', async () => {
    const args = ['build', config('kernel.yml'), '--output', output];
    expect((await cli([...args, '--verify-identity', 'nobody'])).stderr).toMatch(/Not ISSUER,SUBJECT/);
    expect((await cli([...args, '--registry-mirror', 'docker.io'])).stderr).toMatch(/Not NAME=VALUE/);
    expect((await cli([...args, '--registry-ca', 'a=/none'])).stderr).toMatch(/AuthorityUnusable: \/none/);
    await expectUntouched();
  });
});

describe('a build that fails', () => {
  it.each([
    [
      'a problem with its place',
      'services:\n  - name: a\n',
      /error: InvalidLinuxKitConfig: .*\n(.*\n)* {2}standard input:2:5: services\[0\]/,
    ],
    ['a missing kernel', 'init: []\n', /error: InvalidLinuxKitConfig:.*\n.*kernel/],
    ['no YAML', 'a: [', /error: InvalidLinuxKitConfig:.*\n.*standard input:1/],
    ['an image that is not there', 'kernel: {image: "REGISTRY/none:1"}', /error: ImageNotFound: .*none:1/],
  ])('prints %s and leaves nothing', async (_, yaml, message) => {
    const host = kernel.slice(0, kernel.indexOf('/'));
    const { code, stdout, stderr } = await cli(
      ['build', '-', '--output', output],
      yaml.replace('REGISTRY', host),
    );
    expect(code).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/\n\s+at /);
    await expectUntouched();
  });

  it('names a file that cannot be read', async () => {
    const { code, stderr } = await cli(['build', '/does/not/exist.yml', '--output', output]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/error: InvalidLinuxKitConfig: cannot read \/does\/not\/exist\.yml/);
    await expectUntouched();
  });

  it('keeps an earlier result', async () => {
    await cli(['build', config('kernel.yml'), '--output', output]);
    const record = await readFile(join(output, 'build.json'), 'utf8');
    expect((await cli(['build', '-', '--output', output], 'kernel: {}')).code).toBe(1);
    expect(await readFile(join(output, 'build.json'), 'utf8')).toBe(record);
  });

  it('cleans up when it is interrupted', async () => {
    const child = spawn(process.execPath, [MAIN, 'build', config('kernel.yml'), '--output', output], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    child.stderr.once('data', () => child.kill('SIGTERM'));
    const code = await new Promise((resolve) => child.once('exit', resolve));
    // It may have been done before the signal came; half a result is what must not be.
    if (code === 0) expect((await readdir(output)).sort()).toEqual(FILES);
    else {
      expect(code).toBe(1);
      await expectUntouched();
    }
  });
});

describe('the program', () => {
  it('lists its subcommands', async () => {
    const { stdout } = await cli(['--help']);
    for (const name of ['build', 'run', 'build-job', 'boot-registry']) expect(stdout).toContain(`  ${name} `);
  });

  it('refuses what it does not know', async () => {
    expect((await cli(['nonsense'])).stderr).toMatch(/unknown command 'nonsense'/);
  });

  it('says what is missing to run', async () => {
    const { code, stderr } = await cli(['run', folder]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/error: NothingToRun: .*build --output/);
  });
});
