import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RECORD } from '../build/evidence/examples.ts';
import type { BuildResult } from '../build/pipeline.ts';
import type { BuildRecord } from '../build/record.ts';
import { sumOf } from '../build/sum.ts';
import { OutputFolder } from './output-folder.ts';

let parent: string;
let path: string;

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'output-folder-'));
  path = join(parent, 'result');
});

afterEach(async () => {
  await rm(parent, { recursive: true });
});

const CONTENTS = {
  kernel: 'the kernel',
  'initrd.img': 'the initrd',
  'sbom.spdx.json': '{}',
  'provenance.json': '[]',
} as const;
const sums = Object.fromEntries(
  Object.entries(CONTENTS).map(([name, text]) => [name, sumOf(Buffer.from(text))]),
);
const record: BuildRecord = {
  ...RECORD,
  cmdline: 'quiet',
  files: {
    ...RECORD.files,
    ...sums,
    'initrd.img': { ...RECORD.files['initrd.img'], ...sumOf(Buffer.from(CONTENTS['initrd.img'])) },
    cmdline: sumOf(Buffer.from('quiet')),
  },
};

async function accept(): Promise<void> {
  await using output = await OutputFolder.open(path);
  const file = async (name: keyof typeof CONTENTS) => {
    const made = join(output.work, `made-${name}`);
    await writeFile(made, CONTENTS[name]);
    return { path: made, ...sumOf(Buffer.from(CONTENTS[name])) };
  };
  const files = {
    kernel: await file('kernel'),
    'initrd.img': await file('initrd.img'),
    'sbom.spdx.json': await file('sbom.spdx.json'),
    'provenance.json': await file('provenance.json'),
  };
  const result: BuildResult = { record, inputs: [], files, seconds: {}, bytesPulled: 0 };
  await output.accept({ result });
}

async function found(hash = record.inputsHash): Promise<BuildRecord | undefined> {
  await using output = await OutputFolder.open(path);
  return output.find(hash);
}

describe('a folder for results', () => {
  it('holds the files of a result and nothing else', async () => {
    await accept();
    expect((await readdir(path)).sort()).toEqual(['build.json', 'cmdline', ...Object.keys(CONTENTS)].sort());
    expect(await readFile(join(path, 'cmdline'), 'utf8')).toBe('quiet');
    expect(await readdir(parent)).toEqual(['result']);
  });

  it('keeps what else is in it', async () => {
    await accept();
    await writeFile(join(path, 'notes'), 'mine');
    await accept();
    expect(await readFile(join(path, 'notes'), 'utf8')).toBe('mine');
    expect(await found()).toEqual(record);
  });

  it('knows its result again by the inputs', async () => {
    expect(await found()).toBeUndefined();
    await accept();
    expect(await found()).toEqual(record);
    expect(await found('0'.repeat(64))).toBeUndefined();
  });

  it.each(['kernel', 'initrd.img', 'cmdline', 'sbom.spdx.json'])(
    'does not take %s for what it was when it was changed, even to the same size and time',
    async (name) => {
      await accept();
      const file = join(path, name);
      const text = await readFile(file, 'utf8');
      const before = new Date(Date.now() - 86_400_000);
      await writeFile(file, text.replace(/.$/, '!'));
      await utimes(file, before, before);
      expect(await found()).toBeUndefined();
    },
  );

  it('takes a file that was written again with the same bytes', async () => {
    await accept();
    await writeFile(join(path, 'kernel'), CONTENTS.kernel);
    expect(await found()).toEqual(record);
  });

  it('finds no result where a file is missing or the record is none', async () => {
    await accept();
    await rm(join(path, 'provenance.json'));
    expect(await found()).toBeUndefined();
    await writeFile(join(path, 'build.json'), 'not JSON');
    expect(await found()).toBeUndefined();
  });

  it('is not touched by a build that ends without a result', async () => {
    await accept();
    await using output = await OutputFolder.open(path);
    await writeFile(join(output.work, 'half'), 'x');
    await output[Symbol.asyncDispose]();
    expect(await readdir(parent)).toEqual(['result']);
  });
});
