import * as z from 'zod';
import { objectName } from './object.ts';
import { ATOMIC_LIST, ATOMIC_MAP } from './rules.ts';

/**
 * Where pods may run: the fields of Kubernetes' own PodSpec, by their own names, restated so that
 * a mistake is refused at `kubectl apply` of our object and not later, when the pod is made.
 */

const LABEL_KEY = z.string().min(1).max(317);
const LABEL_VALUE = z.string().max(63);

export const labels = z.record(LABEL_KEY, LABEL_VALUE).meta({ maxProperties: 64 });

export const nodeSelector = labels
  .describe('Labels that a node must carry, each with exactly this value.')
  .meta({ ...ATOMIC_MAP });

export const toleration = z.object({
  key: z
    .string()
    .max(317)
    .optional()
    .describe('The taint key that is tolerated. Empty, with operator Exists: every taint.'),
  operator: z.enum(['Exists', 'Equal']).optional().describe('How the value is compared. Equal if left out.'),
  value: z.string().max(63).optional().describe('The taint value that is tolerated, with operator Equal.'),
  effect: z
    .enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute'])
    .optional()
    .describe('The taint effect that is tolerated. Left out: every effect.'),
  tolerationSeconds: z
    .int()
    .optional()
    .describe('For how many seconds a NoExecute taint is tolerated. Left out: for ever.'),
});

export const tolerations = z
  .array(toleration)
  .max(32)
  .describe('Node taints that do not keep the pod away.')
  .meta(ATOMIC_LIST);

const requirement = (of: string) =>
  z.object({
    key: LABEL_KEY.describe(`The ${of} label that is looked at.`),
    operator: z
      .enum(['In', 'NotIn', 'Exists', 'DoesNotExist'])
      .describe('How the label relates to the values.'),
    values: z
      .array(LABEL_VALUE)
      .max(64)
      .optional()
      .describe('The values for In and NotIn; empty otherwise.')
      .meta(ATOMIC_LIST),
  });

const nodeRequirement = z.object({
  key: LABEL_KEY.describe('The node label, or field, that is looked at.'),
  operator: z
    .enum(['In', 'NotIn', 'Exists', 'DoesNotExist', 'Gt', 'Lt'])
    .describe('How it relates to the values.'),
  values: z
    .array(LABEL_VALUE)
    .max(64)
    .optional()
    .describe('The values for In and NotIn; one integer for Gt and Lt; empty otherwise.')
    .meta(ATOMIC_LIST),
});

const nodeTerm = z.object({
  matchExpressions: z
    .array(nodeRequirement)
    .max(32)
    .optional()
    .describe('Requirements on node labels, all of which must hold.')
    .meta(ATOMIC_LIST),
  matchFields: z
    .array(nodeRequirement)
    .max(8)
    .optional()
    .describe('Requirements on node fields (metadata.name), all of which must hold.')
    .meta(ATOMIC_LIST),
});

const labelSelector = z.object({
  matchLabels: labels.optional().describe('Labels that must be there with exactly these values.'),
  matchExpressions: z
    .array(requirement('pod'))
    .max(32)
    .optional()
    .describe('Requirements on labels, all of which must hold.')
    .meta(ATOMIC_LIST),
});

const podTerm = z.object({
  labelSelector: labelSelector.optional().describe('Which pods are meant.').meta(ATOMIC_MAP),
  namespaceSelector: labelSelector
    .optional()
    .describe('In which namespaces, by label. Empty: in all. Left out: see namespaces.')
    .meta(ATOMIC_MAP),
  namespaces: z
    .array(objectName)
    .max(32)
    .optional()
    .describe("In which namespaces, by name. Left out, as the selector: in the object's own.")
    .meta(ATOMIC_LIST),
  topologyKey: LABEL_KEY.describe(
    'The node label that makes two nodes the same place, such as kubernetes.io/hostname.',
  ),
});

const weight = z.int32().min(1).max(100).describe('How much this preference counts, 1 to 100.');

const podAffinity = (what: string) =>
  z.object({
    requiredDuringSchedulingIgnoredDuringExecution: z
      .array(podTerm)
      .max(16)
      .optional()
      .describe(`Pods that must be ${what}.`)
      .meta(ATOMIC_LIST),
    preferredDuringSchedulingIgnoredDuringExecution: z
      .array(z.object({ weight, podAffinityTerm: podTerm.describe('The pods that are meant.') }))
      .max(16)
      .optional()
      .describe(`Pods that should be ${what}.`)
      .meta(ATOMIC_LIST),
  });

export const affinity = z
  .object({
    nodeAffinity: z
      .object({
        requiredDuringSchedulingIgnoredDuringExecution: z
          .object({
            nodeSelectorTerms: z
              .array(nodeTerm)
              .min(1)
              .max(16)
              .describe('Terms, one of which must hold.')
              .meta(ATOMIC_LIST),
          })
          .optional()
          .describe('What a node must satisfy.')
          .meta(ATOMIC_MAP),
        preferredDuringSchedulingIgnoredDuringExecution: z
          .array(
            z.object({
              weight,
              preference: nodeTerm.describe('The nodes that are preferred.').meta(ATOMIC_MAP),
            }),
          )
          .max(16)
          .optional()
          .describe('What a node should satisfy.')
          .meta(ATOMIC_LIST),
      })
      .optional()
      .describe('Rules on nodes.'),
    podAffinity: podAffinity('in the same place').optional().describe('Rules on pods to be near to.'),
    podAntiAffinity: podAffinity('in another place').optional().describe('Rules on pods to be away from.'),
  })
  .describe('Rules on nodes and on other pods, as in a PodSpec.');

export const topologySpreadConstraints = z
  .array(
    z.object({
      maxSkew: z.int32().min(1).describe('By how many pods two places may differ.'),
      topologyKey: LABEL_KEY.describe('The node label that tells places apart.'),
      whenUnsatisfiable: z
        .enum(['DoNotSchedule', 'ScheduleAnyway'])
        .describe('What happens if that cannot be kept.'),
      labelSelector: labelSelector.optional().describe('Which pods are counted.').meta(ATOMIC_MAP),
    }),
  )
  .max(8)
  .describe('How pods are spread over zones, nodes or other places, as in a PodSpec.')
  .meta(ATOMIC_LIST);

export const priorityClassName = objectName.describe('The PriorityClass of the pod.');

export const localReferences = z
  .array(z.object({ name: objectName.describe('The name of the Secret.') }).meta(ATOMIC_MAP))
  .max(16);
