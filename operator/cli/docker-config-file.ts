import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type DockerConfig, parseDockerConfig } from '../oci/registry/docker-config.ts';

/** Where Docker keeps what `docker login` was told: `$DOCKER_CONFIG`, or `~/.docker`. */
export function dockerConfigPath(environment: NodeJS.ProcessEnv): string {
  return join(environment['DOCKER_CONFIG'] ?? join(homedir(), '.docker'), 'config.json');
}

/** The configuration at `path`; none when the file does not exist. Throws `OciError` `InvalidCredentials`. */
export async function readDockerConfig(path: string): Promise<readonly DockerConfig[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
  return [parseDockerConfig(text, path)];
}
