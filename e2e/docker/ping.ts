import { request } from 'node:http';

/** Where a Docker engine listens, in the form of DOCKER_HOST: `unix:///path` or `tcp://host:port`. */
export type DockerHost = string;

/**
 * Asks an engine whether it is there, three seconds at most.
 * @returns undefined when it is, otherwise the reason why not.
 */
export async function whyUnreachable(host: DockerHost, signal: AbortSignal): Promise<string | undefined> {
  const url = new URL(host);
  const where =
    url.protocol === 'unix:'
      ? { socketPath: url.pathname }
      : { host: url.hostname, port: url.port === '' ? 2375 : Number(url.port) };
  return await new Promise((resolve) => {
    const outgoing = request(
      {
        ...where,
        path: '/_ping',
        agent: false,
        signal: AbortSignal.any([signal, AbortSignal.timeout(3_000)]),
      },
      (incoming) => {
        incoming.resume();
        resolve(incoming.statusCode === 200 ? undefined : `${host} answers ${incoming.statusCode}`);
      },
    );
    outgoing.once('error', (error) => {
      resolve(`${host}: ${error.message}`);
    });
    outgoing.end();
  });
}
