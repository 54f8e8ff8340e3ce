import { InvalidSetting } from './errors.ts';

/** Process limits, written `name,soft,hard` (getrlimit(2)). */

const NAMES: ReadonlySet<string> = new Set(
  'CPU FSIZE DATA STACK CORE RSS NPROC NOFILE MEMLOCK AS LOCKS SIGPENDING MSGQUEUE NICE RTPRIO RTTIME'
    .split(' ')
    .map((name) => `RLIMIT_${name}`),
);

/** RLIM_INFINITY, the largest unsigned 64-bit integer: more than a JavaScript number holds. */
const UNLIMITED = 2n ** 64n - 1n;

export interface Rlimit {
  readonly type: string;
  readonly hard: bigint;
  readonly soft: bigint;
}

/** Throws {@link InvalidSetting}. */
export function parseRlimit(text: string): Rlimit {
  const [name, soft, hard, ...rest] = text.split(',').map((field) => field.trim());
  if (name === undefined || soft === undefined || hard === undefined || rest.length > 0) {
    throw new InvalidSetting(`cannot parse rlimit ${JSON.stringify(text)}: write name,soft,hard`);
  }
  const upper = name.toUpperCase();
  const type = upper.startsWith('RLIMIT_') ? upper : `RLIMIT_${upper}`;
  if (!NAMES.has(type)) throw new InvalidSetting(`unknown limit ${JSON.stringify(name)}`);
  return { type, hard: parseLimit(hard), soft: parseLimit(soft) };
}

function parseLimit(text: string): bigint {
  if (text.toLowerCase() === 'unlimited') return UNLIMITED;
  if (!/^[0-9]{1,20}$/.test(text) || BigInt(text) > UNLIMITED) {
    throw new InvalidSetting(
      `cannot parse limit ${JSON.stringify(text)}: it must be 'unlimited' or a number below 2^64`,
    );
  }
  return BigInt(text);
}
