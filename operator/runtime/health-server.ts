import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { messageOf } from '../errors.ts';

/** A named question. `undefined` means well; a text says what is wrong, for people. */
export interface HealthCheck {
  readonly name: string;
  check(): string | undefined;
}

export interface HealthServerOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Is the process beyond recovery, so that only a restart helps? */
  readonly live: readonly HealthCheck[];
  /** Can it do its work now? */
  readonly ready: readonly HealthCheck[];
  /** The page of `/metrics`. */
  readonly metrics: () => Promise<{ readonly contentType: string; readonly body: string }>;
}

/** `/healthz`, `/readyz` and `/metrics`, over plain HTTP, for kubelet and Prometheus. Up from the first moment. */
export class HealthServer implements AsyncDisposable {
  readonly #server: Server;
  readonly #options: HealthServerOptions;

  private constructor(server: Server, options: HealthServerOptions) {
    this.#server = server;
    this.#options = options;
  }

  static async start(options: HealthServerOptions): Promise<HealthServer> {
    const server = createServer({ requestTimeout: 10_000, headersTimeout: 5_000, maxHeaderSize: 8 * 1024 });
    const health = new HealthServer(server, options);
    server.on('request', (request, response) => {
      request.resume();
      void health.#answer(request.method ?? '', request.url ?? '', response);
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(options.port, options.host, () => {
        server.off('error', reject);
        resolve();
      });
    });
    return health;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async #answer(method: string, url: string, response: ServerResponse): Promise<void> {
    try {
      if (method !== 'GET' && method !== 'HEAD') {
        send(response, 405, 'text/plain; charset=utf-8', 'only GET and HEAD\n', { allow: 'GET, HEAD' });
        return;
      }
      switch (url.split('?', 1)[0]) {
        case '/healthz':
          report(response, this.#options.live);
          return;
        case '/readyz':
          report(response, this.#options.ready);
          return;
        case '/metrics': {
          const page = await this.#options.metrics();
          send(response, 200, page.contentType, page.body);
          return;
        }
        default:
          send(response, 404, 'text/plain; charset=utf-8', 'not found\n');
      }
    } catch (error) {
      send(response, 500, 'text/plain; charset=utf-8', `${messageOf(error)}\n`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => void this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }
}

/** One line a check, in kubectl's manner: `[+]name ok`, `[-]name what is wrong`. */
function report(response: ServerResponse, checks: readonly HealthCheck[]): void {
  const found = checks.map((one) => ({ name: one.name, problem: one.check() }));
  const well = found.every(({ problem }) => problem === undefined);
  const text = found.map(({ name, problem }) =>
    problem === undefined ? `[+]${name} ok\n` : `[-]${name} ${problem}\n`,
  );
  send(response, well ? 200 : 503, 'text/plain; charset=utf-8', text.join('') || 'ok\n');
}

function send(
  response: ServerResponse,
  status: number,
  contentType: string,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { 'content-type': contentType, 'cache-control': 'no-store', ...headers });
  response.end(body);
}
