/** What KubeVirt's webhooks are asked about: failure policy Fail, ten seconds, no side effects, as its own. */
export function webhookConfigurations(
  service: { readonly name: string; readonly namespace: string },
  authority: string,
  ownUser: string,
): object[] {
  const webhook = (
    name: string,
    path: string,
    rule: { readonly apiGroups: string[]; readonly operations: string[]; readonly resources: string[] },
    failurePolicy: 'Fail' | 'Ignore' = 'Fail',
  ): object => ({
    name,
    admissionReviewVersions: ['v1'],
    // An eviction leaves a mark on the instance, unless it is a dry run.
    sideEffects: path.endsWith('evictions') ? 'NoneOnDryRun' : 'None',
    failurePolicy,
    timeoutSeconds: 10,
    clientConfig: { service: { ...service, path }, caBundle: Buffer.from(authority).toString('base64') },
    rules: [{ ...rule, apiVersions: ['v1'], scope: 'Namespaced' }],
    // KubeVirt itself may write what it likes; and it should not have to ask itself for every status.
    matchConditions: [{ name: 'not-by-kubevirt', expression: `request.userInfo.username != '${ownUser}'` }],
  });
  const kubevirt = (resource: string, operations: string[]) => ({
    apiGroups: ['kubevirt.io'],
    operations,
    resources: [resource],
  });
  const written = ['CREATE', 'UPDATE'];
  const { name } = service;
  return [
    {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'MutatingWebhookConfiguration',
      metadata: { name },
      webhooks: [
        webhook(
          'virtualmachines-mutator.kubevirt.stand-in',
          '/mutate/virtualmachines',
          kubevirt('virtualmachines', written),
        ),
      ],
    },
    {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingWebhookConfiguration',
      metadata: { name },
      webhooks: [
        ...['virtualmachines', 'virtualmachineinstances', 'virtualmachineinstancemigrations'].map(
          (resource) =>
            webhook(
              `${resource}-validator.kubevirt.stand-in`,
              `/validate/${resource}`,
              kubevirt(resource, written),
            ),
        ),
        // Evictions go on while KubeVirt is down.
        webhook(
          'eviction-validator.kubevirt.stand-in',
          '/validate/evictions',
          { apiGroups: [''], operations: ['CREATE'], resources: ['pods/eviction'] },
          'Ignore',
        ),
      ],
    },
  ];
}
