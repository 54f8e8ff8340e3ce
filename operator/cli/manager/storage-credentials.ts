import { randomBytes } from 'node:crypto';
import { messageOf } from '../../errors.ts';
import type { ApiClient } from '../../runtime/api-client.ts';
import { isConflict } from '../../runtime/api-error.ts';
import { SYSTEM_CLOCK, sleep } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/logger.ts';
import { SECRETS } from '../../runtime/resources.ts';
import type { S3Options } from '../../storage/s3/options.ts';

const RETRY_MS = 2_000;
const KEYS = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'] as const;

/**
 * The credentials in a Secret of the operator's own namespace; waits until they are there. A Secret
 * that has none is filled with random ones, which the storage that comes with the chart then takes
 * for its own. Of two replicas one writes, and both read.
 */
export async function storageCredentials(
  client: ApiClient,
  key: { readonly namespace: string; readonly name: string },
  options: { readonly logger: Logger; readonly signal: AbortSignal },
): Promise<NonNullable<S3Options['credentials']>> {
  const { logger, signal } = options;
  for (let told = ''; ; ) {
    const problem = await attempt();
    if (typeof problem !== 'string') return problem;
    if (problem !== told)
      logger.warn('waiting for storage credentials', { secret: key.name, reason: problem });
    told = problem;
    await sleep(SYSTEM_CLOCK, RETRY_MS, signal);
  }

  async function attempt(): Promise<NonNullable<S3Options['credentials']> | string> {
    try {
      const secret = await client.find(SECRETS, key, { signal });
      if (secret === undefined) return 'there is no such Secret';
      const [accessKeyId = '', secretAccessKey = ''] = KEYS.map((name) =>
        Buffer.from(secret.data?.[name] ?? '', 'base64').toString('utf8'),
      );
      if (accessKeyId !== '' && secretAccessKey !== '') return { accessKeyId, secretAccessKey };
      const made = {
        accessKeyId: `LINUXKIT${randomBytes(6).toString('hex').toUpperCase()}`,
        secretAccessKey: randomBytes(30).toString('base64url'),
      };
      const data = {
        ...secret.data,
        AWS_ACCESS_KEY_ID: base64(made.accessKeyId),
        AWS_SECRET_ACCESS_KEY: base64(made.secretAccessKey),
      };
      await client.replace(SECRETS, { ...secret, data }, { signal });
      logger.info('made storage credentials', { secret: key.name });
      return made;
    } catch (error) {
      if (signal.aborted) throw error;
      return isConflict(error) ? 'another replica makes them' : messageOf(error);
    }
  }
}

function base64(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64');
}
