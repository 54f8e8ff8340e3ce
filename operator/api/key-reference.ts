import * as z from 'zod';
import { objectName } from './object.ts';
import { ATOMIC_MAP, exactlyOne, exactlyOneCel, withRules } from './rules.ts';

/** A key of one kind of object in the namespace of the image. */
export const keyReference = (kind: 'ConfigMap' | 'Secret') =>
  z
    .object({
      name: objectName.describe(`The name of the ${kind}, in the namespace of the image.`),
      key: z
        .string()
        .min(1)
        .max(253)
        .regex(/^[-._a-zA-Z0-9]+$/)
        .describe(`The key within the ${kind}.`),
    })
    .meta(ATOMIC_MAP);

/** A key of a ConfigMap or of a Secret; exactly one. */
export const keySource = withRules(
  z.object({
    configMapKeyRef: keyReference('ConfigMap').optional().describe('A key of a ConfigMap.'),
    secretKeyRef: keyReference('Secret')
      .optional()
      .describe('A key of a Secret. The operator never reads it: the build pod mounts it.'),
  }),
  [
    {
      cel: exactlyOneCel('configMapKeyRef', 'secretKeyRef'),
      message: 'exactly one of configMapKeyRef and secretKeyRef must be given',
      holds: exactlyOne('configMapKeyRef', 'secretKeyRef'),
    },
  ],
);
