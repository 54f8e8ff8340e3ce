/**
 * A JSON patch (RFC 6902) that writes a whole status, and only onto the version of the object that it was
 * decided for: the API server answers another resource version with a conflict.
 */
export function statusPatch(resourceVersion: string, status: object): object[] {
  return [
    { op: 'replace', path: '/metadata/resourceVersion', value: resourceVersion },
    { op: 'add', path: '/status', value: status },
  ];
}
