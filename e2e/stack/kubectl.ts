import { dirname } from 'node:path';
import { run } from '../process/run.ts';

/** The kubectl command against one cluster. */
export class Kubectl {
  readonly kubeconfig: string;
  /** Path of the command. */
  readonly binary: string;

  constructor(binary: string, kubeconfig: string) {
    this.binary = binary;
    this.kubeconfig = kubeconfig;
  }

  /** Where the command lies. */
  get folder(): string {
    return dirname(this.binary);
  }

  /** Runs kubectl and returns its output. */
  async run(args: readonly string[], signal: AbortSignal, input?: string): Promise<string> {
    return await run(this.binary, ['--kubeconfig', this.kubeconfig, ...args], {
      signal,
      timeout: 600_000,
      ...(input === undefined ? {} : { input }),
    });
  }

  /** Applies objects or YAML texts, server-side: KubeVirt's CRDs are too large for the annotation of a client-side apply. */
  async apply(documents: readonly (object | string)[], signal: AbortSignal): Promise<void> {
    const text = documents
      .map((document) => (typeof document === 'string' ? document : JSON.stringify(document)))
      .join('\n---\n');
    await this.run(['apply', '--server-side', '--force-conflicts', '-f', '-'], signal, text);
  }

  async json<T>(args: readonly string[], signal: AbortSignal): Promise<T> {
    return JSON.parse(await this.run([...args, '-o', 'json'], signal)) as T;
  }
}
