import type { JsonObject } from './go-json.ts';

/** Which namespaces of the machine a container leaves (OCI runtime-spec, config-linux.md, "Namespaces"). */

/** Merged values of the fields; empty where neither configuration nor label says anything. */
export interface NamespaceSettings {
  readonly net: string;
  readonly ipc: string;
  readonly uts: string;
  readonly pid: string;
  readonly userns: string;
}

export function namespaces(settings: NamespaceSettings): readonly JsonObject[] {
  return [
    ...namespace('network', settings.net === 'none' ? 'new' : settings.net, 'host'),
    ...namespace('ipc', settings.ipc, 'host'),
    ...namespace('uts', settings.uts, 'host'),
    ...namespace('pid', settings.pid, 'new'),
    ...namespace('user', settings.userns, 'host'),
    { type: 'mount' },
  ];
}

function namespace(type: string, setting: string, fallback: string): readonly JsonObject[] {
  const value = setting === '' ? fallback : setting;
  if (value === 'host' || value === 'root') return [];
  return [value === 'new' ? { type } : { type, path: value }];
}
