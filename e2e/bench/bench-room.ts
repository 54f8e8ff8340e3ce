import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pushImage } from '../images/oci-push.ts';
import { run } from '../process/run.ts';
import { handScript } from './by-hand.ts';
import type { BenchCase } from './cases.ts';
import { linuxKitYaml, SMALL_SERVICE } from './image-sets.ts';
import { type Measurement, measure } from './measured-command.ts';
import { changedService, layerFiles, type PreparedSet } from './prepared-set.ts';

/** What one round of a case gave. */
export interface Round {
  /** The unit, measured directly before. */
  readonly unit: Measurement;
  readonly engine: Measurement;
  readonly byHand: Measurement;
  /** Bytes of the initrd that the engine made. */
  readonly initrdSize: number;
}

/** Where a set is measured: its registry, the folders of both pipelines, and what the last rounds left there. */
export class BenchRoom {
  readonly #prepared: PreparedSet;
  readonly #registry: string;
  readonly #folder: string;
  /** The bundled program, as the container image has it. */
  readonly #program: string;
  readonly #signal: AbortSignal;
  #note = 'hello';
  #version = 0;
  /** Which compression the folders hold a result of. */
  #warm: 'gzip' | 'zstd' | undefined;

  constructor(
    prepared: PreparedSet,
    options: {
      readonly registry: string;
      readonly folder: string;
      readonly program: string;
      readonly signal: AbortSignal;
    },
  ) {
    this.#prepared = prepared;
    this.#registry = options.registry;
    this.#folder = options.folder;
    this.#program = options.program;
    this.#signal = options.signal;
  }

  async measure(one: BenchCase): Promise<Round> {
    await this.#arrange(one);
    const unit = await this.#unit();
    const engine = await this.#engine(one.compression);
    const initrdSize = await this.#initrdSize();
    const byHand = await this.#byHand(one);
    this.#warm = one.compression;
    return { unit, engine, byHand, initrdSize };
  }

  /** Builds the set with a kernel that boots, in either compression, and gives the folders. */
  async bootable(kernel: string): Promise<Readonly<Record<'gzip' | 'zstd', string>>> {
    const yaml = join(this.#folder, 'bootable.yml');
    await writeFile(yaml, linuxKitYaml(this.#prepared.set, this.#registry, this.#note, kernel));
    const folders = { gzip: join(this.#folder, 'boot-gzip'), zstd: join(this.#folder, 'boot-zstd') };
    for (const [compression, folder] of Object.entries(folders)) {
      const args = ['build', yaml, '--output', folder, '--quiet', '--compression', compression];
      await run(process.execPath, [this.#program, ...args], { signal: this.#signal, timeout: 900_000 });
    }
    return folders;
  }

  /** Makes the world what the case wants to find. */
  async #arrange(one: BenchCase): Promise<void> {
    if (one.finds === 'nothing') {
      await this.#forget('cache', 'output', 'hand');
      return;
    }
    if (this.#warm !== one.compression) {
      await this.#forget('cache', 'output', 'hand');
      const { images } = one.set;
      await this.#engine(one.compression);
      await this.#byHand({ ...one, byHand: { copy: images, unpack: images, pack: one.compression } });
    }
    if (one.finds === 'cache') await this.#forget('output');
    if (one.changed === 'inline file') this.#note = `hello ${(this.#version += 1)}`;
    if (one.changed === 'small service') {
      const version = `${process.pid} ${(this.#version += 1)}`;
      const image = await changedService(this.#prepared, version, this.#signal);
      const repository = `${one.set.name}/${SMALL_SERVICE}`;
      await pushImage(image, { registry: this.#registry, repository, tag: '1' }, this.#signal);
    }
  }

  async #forget(...names: readonly string[]): Promise<void> {
    for (const name of names) await rm(join(this.#folder, name), { recursive: true, force: true });
    this.#warm = undefined;
  }

  async #unit(): Promise<Measurement> {
    const program = join(import.meta.dirname, 'gunzip.ts');
    const files = await layerFiles(this.#prepared);
    return measure(process.execPath, [program, ...files], { folder: this.#folder, signal: this.#signal });
  }

  async #engine(compression: 'gzip' | 'zstd'): Promise<Measurement> {
    const yaml = join(this.#folder, 'image.yml');
    await writeFile(yaml, linuxKitYaml(this.#prepared.set, this.#registry, this.#note));
    const output = join(this.#folder, 'output');
    const cache = join(this.#folder, 'cache');
    const args = [this.#program, 'build', yaml, '--output', output, '--cache', cache, '--quiet'];
    return measure(process.execPath, [...args, '--compression', compression], {
      folder: this.#folder,
      signal: this.#signal,
    });
  }

  async #byHand({ set, byHand }: BenchCase): Promise<Measurement> {
    const folder = join(this.#folder, 'hand');
    const script = `mkdir -p '${folder}' && cd '${folder}'\n${handScript(set, this.#registry, byHand)}`;
    return measure('sh', ['-c', script], { folder: this.#folder, signal: this.#signal });
  }

  async #initrdSize(): Promise<number> {
    const record = JSON.parse(await readFile(join(this.#folder, 'output', 'build.json'), 'utf8')) as {
      readonly files: { readonly 'initrd.img': { readonly size: number } };
    };
    return record.files['initrd.img'].size;
  }
}
