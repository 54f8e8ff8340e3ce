import { homedir } from 'node:os';
import { join } from 'node:path';

/**
 * The folder outside the checkout that keeps what is expensive to make:
 * `$LINUXKIT_OPERATOR_CACHE`, or `linuxkit-operator` in the user's cache folder.
 */
export function cacheFolder(env: Readonly<Record<string, string | undefined>> = process.env): string {
  const own = env['LINUXKIT_OPERATOR_CACHE'];
  if (own !== undefined && own !== '') return own;
  const user = env['XDG_CACHE_HOME'];
  return join(user === undefined || user === '' ? join(homedir(), '.cache') : user, 'linuxkit-operator');
}
