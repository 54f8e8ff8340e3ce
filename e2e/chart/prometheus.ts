import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { dump } from 'js-yaml';
import { findFreePort } from '../cluster/ports.ts';
import { Component } from '../process/component.ts';
import { waitFor } from '../process/wait.ts';

/** What is scraped: an address, and the labels that a monitor of the Prometheus Operator would add. */
export interface ScrapeTarget {
  readonly address: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** A sample of an instant query. */
export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [number, string];
}

export interface RuleState {
  readonly name: string;
  readonly query: string;
  readonly health: string;
  readonly state: string;
  readonly lastError?: string;
}

/** A real Prometheus on this machine, with data in a folder of its own. */
export class Prometheus implements AsyncDisposable {
  readonly #process: Component;
  readonly #url: string;

  private constructor(process: Component, url: string) {
    this.#process = process;
    this.#url = url;
  }

  /** Starts it and returns once it answers. `rules` is the content of a rule file. */
  static async start(
    binary: string,
    folder: string,
    options: { readonly targets: readonly ScrapeTarget[]; readonly rules: object },
    signal: AbortSignal,
  ): Promise<Prometheus> {
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'rules.yaml'), dump(options.rules));
    const config = {
      global: { scrape_interval: '2s', evaluation_interval: '2s' },
      rule_files: ['rules.yaml'],
      scrape_configs: [
        {
          job_name: 'targets',
          static_configs: options.targets.map(({ address, labels }) => ({ targets: [address], labels })),
        },
      ],
    };
    await writeFile(join(folder, 'prometheus.yaml'), dump(config));
    const port = await findFreePort();
    const component = await Component.start({
      name: 'prometheus',
      command: binary,
      args: [
        '--config.file=prometheus.yaml',
        `--storage.tsdb.path=${join(folder, 'data')}`,
        `--web.listen-address=127.0.0.1:${port}`,
      ],
      logFile: join(folder, 'prometheus.log'),
      cwd: folder,
      survives: false,
    });
    const made = new Prometheus(component, `http://127.0.0.1:${port}`);
    await waitFor('Prometheus', async () => await made.#ready(signal), {
      signal,
      timeout: 60_000,
      watched: [component],
    });
    return made;
  }

  async #ready(signal: AbortSignal): Promise<true | undefined> {
    const answer = await fetch(`${this.#url}/-/ready`, { signal }).catch(() => undefined);
    return answer?.ok === true ? true : undefined;
  }

  /** What an expression gives now. Throws an Error with Prometheus' own words where it takes none of it. */
  async query(expr: string, signal: AbortSignal): Promise<readonly Sample[]> {
    const answer = await this.#get(`query?query=${encodeURIComponent(expr)}`, signal);
    return (answer as { readonly result: readonly Sample[] }).result;
  }

  async rules(signal: AbortSignal): Promise<readonly RuleState[]> {
    const { groups } = (await this.#get('rules', signal)) as {
      readonly groups: readonly { readonly rules: readonly RuleState[] }[];
    };
    return groups.flatMap(({ rules }) => rules);
  }

  async #get(path: string, signal: AbortSignal): Promise<unknown> {
    const response = await fetch(`${this.#url}/api/v1/${path}`, { signal });
    const answer = (await response.json()) as {
      readonly status: string;
      readonly error?: string;
      readonly data?: unknown;
    };
    if (answer.status !== 'success') throw new Error(`${decodeURIComponent(path)}: ${answer.error}`);
    return answer.data;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.stop(AbortSignal.timeout(20_000));
  }
}
