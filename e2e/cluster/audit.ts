import { join } from 'node:path';

/** Where the API server of an instance writes what service accounts ask of it, and by which policy. */
export function auditFiles(folder: string): { readonly policy: string; readonly log: string } {
  return { policy: join(folder, 'etc', 'audit-policy.json'), log: join(folder, 'audit.log') };
}

/** Metadata of every request by a service account, those of Kubernetes' own controllers excepted. */
export const AUDIT_POLICY = {
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  omitStages: ['RequestReceived'],
  omitManagedFields: true,
  rules: [
    { level: 'None', userGroups: ['system:serviceaccounts:kube-system'] },
    { level: 'Metadata', userGroups: ['system:serviceaccounts'] },
    { level: 'None' },
  ],
} as const;
