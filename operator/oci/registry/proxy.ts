import { BlockList, isIP } from 'node:net';
import { OciError } from '../errors.ts';
import { isLoopback } from './endpoint.ts';

/** By way of which proxies registries are reached. */
export interface ProxySettings {
  /** For registries spoken to plainly, and for those spoken to by TLS: `http://` or `https://`. */
  readonly http?: URL;
  readonly https?: URL;
  /** Hosts that are reached without. */
  readonly exempt: readonly ProxyExemption[];
}

/** An entry of `NO_PROXY`: everything, a domain, an address or a network; of one port where it names one. */
export interface ProxyExemption {
  readonly matches: (host: string) => boolean;
  readonly port?: string;
}

/**
 * Reads `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`, in capitals or not; the latter win. Throws {@link OciError}
 * `InvalidProxy`, which does not show the address: it may carry a password.
 */
export function proxyFromEnvironment(env: Readonly<Record<string, string | undefined>>): ProxySettings {
  const read = (name: string): string => (env[name] ?? env[name.toUpperCase()] ?? '').trim();
  const http = proxyUrl(read('http_proxy'), 'HTTP_PROXY');
  const https = proxyUrl(read('https_proxy'), 'HTTPS_PROXY');
  const exempt = read('no_proxy')
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .map(exemption);
  return { ...(http === undefined ? {} : { http }), ...(https === undefined ? {} : { https }), exempt };
}

function proxyUrl(text: string, name: string): URL | undefined {
  if (text === '') return undefined;
  const url = URL.parse(text.includes('://') ? text : `http://${text}`);
  if (url !== null && (url.protocol === 'http:' || url.protocol === 'https:') && url.hostname !== '')
    return url;
  throw new OciError(
    'InvalidProxy',
    `${name} is not the address of a proxy; write it as http://host:port or https://host:port`,
  );
}

/** As Go's programs read it: a name stands for its subdomains too, one with a leading dot for these alone. */
function exemption(entry: string): ProxyExemption {
  const [, bracketed, name = '', port] =
    /^(?:\[([^\]]+)\]|([^:]+|.*:.*:.*))(?::([0-9]+))?$/.exec(entry) ?? [];
  const matches = matcher((bracketed ?? name).toLowerCase());
  return port === undefined ? { matches } : { matches, port };
}

function matcher(name: string): ProxyExemption['matches'] {
  if (name === '*') return () => true;
  const [address = '', prefix] = name.split('/');
  const family = isIP(address);
  if (family !== 0) {
    const list = new BlockList();
    const type = family === 4 ? 'ipv4' : 'ipv6';
    const bits = Number(prefix ?? (family === 4 ? 32 : 128));
    // What is no network exempts nothing.
    if (!Number.isInteger(bits) || bits < 0 || bits > (family === 4 ? 32 : 128)) return () => false;
    list.addSubnet(address, bits, type);
    return (host) => {
      const of = isIP(host);
      return of !== 0 && list.check(host, of === 4 ? 'ipv4' : 'ipv6');
    };
  }
  const domain = name.replace(/^\*?\./, '');
  if (domain === '') return () => false;
  const whole = domain === name;
  return (host) => (whole && host === domain) || host.endsWith(`.${domain}`);
}

/** The proxy by way of which a URL is asked for; undefined where none is. This machine is never asked for by one. */
export function proxyFor(url: URL, settings: ProxySettings): URL | undefined {
  const proxy = url.protocol === 'https:' ? settings.https : settings.http;
  if (proxy === undefined || isLoopback(url.host)) return undefined;
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '');
  const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port;
  const exempt = settings.exempt.some(
    (entry) => (entry.port === undefined || entry.port === port) && entry.matches(host),
  );
  return exempt ? undefined : proxy;
}
