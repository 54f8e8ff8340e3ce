import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { run } from '../process/run.ts';
import { bootQemu, type Machine, type MachineOptions } from '../qemu/machine.ts';
import { type RegistryService, startRegistry } from '../services/registry.ts';
import { publishComponents } from './publish.ts';

const ROOT = join(import.meta.dirname, '..', '..');

/** A registry with the component images, and the project's own command line to build with: for tests of guests. */
export class Testbed implements AsyncDisposable {
  /** A scratch folder that lasts as long as the testbed. */
  readonly folder: string;
  readonly #registry: RegistryService;
  #builds = 0;

  private constructor(folder: string, registry: RegistryService) {
    this.folder = folder;
    this.#registry = registry;
  }

  static async start(signal: AbortSignal, only?: readonly string[]): Promise<Testbed> {
    const registry = await startRegistry();
    await publishComponents(registry.host, { signal, ...(only === undefined ? {} : { only }) });
    return new Testbed(await mkdtemp(join(tmpdir(), 'guest-')), registry);
  }

  /** Builds LinuxKit YAML in which 127.0.0.1:5000 stands for the registry, and boots the result. */
  async boot(
    yaml: string,
    options: Partial<MachineOptions> & { readonly signal: AbortSignal },
  ): Promise<Machine> {
    const name = join(this.folder, `build-${++this.#builds}`);
    await writeFile(`${name}.yml`, yaml.replaceAll('127.0.0.1:5000/', `${this.#registry.host}/`));
    const command = [
      'operator/main.ts',
      'build',
      `${name}.yml`,
      '--output',
      name,
      '--cache',
      join(this.folder, 'cache'),
    ];
    await run(process.execPath, command, { cwd: ROOT, signal: options.signal });
    return bootQemu({
      kernel: join(name, 'kernel'),
      initrd: join(name, 'initrd.img'),
      cmdline: await readFile(join(name, 'cmdline'), 'utf8'),
      ...options,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#registry.stop();
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** The text of an example's LinuxKit file. */
export function exampleFile(name: string): Promise<string> {
  return readFile(join(ROOT, 'examples', 'linuxkit', name), 'utf8');
}
