/** A rule of a Role or ClusterRole (rbac.authorization.k8s.io/v1). */
export interface PolicyRule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  readonly resourceNames?: readonly string[];
}

/** An event of the API server's audit log, as far as it tells what was asked. */
export interface AuditEvent {
  readonly verb: string;
  readonly user: { readonly username: string };
  readonly objectRef?: {
    readonly apiGroup?: string;
    readonly resource?: string;
    readonly subresource?: string;
    readonly namespace?: string;
    readonly name?: string;
  };
  readonly responseStatus?: { readonly code?: number };
  readonly annotations?: Readonly<Record<string, string>>;
}

/** `verb resource.group` of every single right that rules give. */
export function rightsOf(rules: readonly PolicyRule[]): ReadonlySet<string> {
  return new Set(
    rules.flatMap(({ apiGroups, resources, verbs }) =>
      apiGroups.flatMap((group) =>
        resources.flatMap((resource) => verbs.map((verb) => right(verb, resource, group))),
      ),
    ),
  );
}

/** `verb resource.group` of what a request needed. Server-side apply that makes an object needs `create` too. */
export function rightsUsed({ verb, objectRef, responseStatus }: AuditEvent): readonly string[] {
  if (objectRef?.resource === undefined) return [];
  const { resource, subresource, apiGroup = '' } = objectRef;
  const name = subresource === undefined ? resource : `${resource}/${subresource}`;
  const made = verb === 'patch' && responseStatus?.code === 201;
  return made
    ? [right(verb, name, apiGroup), right('create', name, apiGroup)]
    : [right(verb, name, apiGroup)];
}

function right(verb: string, resource: string, group: string): string {
  return `${verb} ${resource}${group === '' ? '' : `.${group}`}`;
}

/** Events of an audit log, one a line. A line that is being written is left out. */
export function auditEvents(log: string): readonly AuditEvent[] {
  const lines = log.slice(0, log.lastIndexOf('\n') + 1).split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as AuditEvent);
}
