import type { z } from 'zod';
import { imageSpec, imageStatus } from './image.ts';
import { MACHINE_NAME_LIMIT, machineSpec, machineStatus } from './machine.ts';
import { GROUP, IMAGE_KIND, IMAGE_PLURAL, MACHINE_KIND, MACHINE_PLURAL, VERSION } from './names.ts';
import { type SchemaNode, structuralSchema } from './structural.ts';

/** The CustomResourceDefinitions, made of the schemas. */

interface PrinterColumn {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'date' | 'boolean';
  readonly jsonPath: string;
  readonly description: string;
  /** 0: always shown. 1: with `-o wide`. */
  readonly priority?: number;
}

interface KindDefinition {
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly description: string;
  /** VMs and Jobs are named after the object. */
  readonly nameLimit: number;
  readonly spec: z.ZodType;
  readonly status: z.ZodType;
  readonly subresources: Readonly<Record<string, unknown>>;
  readonly columns: readonly PrinterColumn[];
}

const READY: PrinterColumn = {
  name: 'Ready',
  type: 'string',
  jsonPath: '.status.conditions[?(@.type=="Ready")].status',
  description: 'Whether the object is as its spec says.',
};
const REASON: PrinterColumn = {
  name: 'Reason',
  type: 'string',
  jsonPath: '.status.conditions[?(@.type=="Ready")].reason',
  description: 'Why it is ready or not.',
};
const MESSAGE: PrinterColumn = {
  name: 'Message',
  type: 'string',
  jsonPath: '.status.conditions[?(@.type=="Ready")].message',
  description: 'The same for people.',
  priority: 1,
};
const AGE: PrinterColumn = {
  name: 'Age',
  type: 'date',
  jsonPath: '.metadata.creationTimestamp',
  description: 'When it was made.',
};

const IMAGE: KindDefinition = {
  kind: IMAGE_KIND,
  plural: IMAGE_PLURAL,
  singular: 'linuxkitimage',
  shortNames: ['lki'],
  description:
    'A LinuxKit image: a kernel and an initrd, built by a Job out of the container images that the configuration names, and stored under their digest.',
  nameLimit: 63,
  spec: imageSpec,
  status: imageStatus,
  subresources: { status: {} },
  columns: [
    READY,
    REASON,
    { name: 'Arch', type: 'string', jsonPath: '.spec.architecture', description: 'What it is built for.' },
    {
      name: 'Digest',
      type: 'string',
      jsonPath: '.status.artifact.digest',
      description: 'The present artifact.',
    },
    {
      name: 'Built',
      type: 'date',
      jsonPath: '.status.artifact.created',
      description: 'When the present artifact was built.',
    },
    {
      name: 'Job',
      type: 'string',
      jsonPath: '.status.build.job',
      description: 'The build under way.',
      priority: 1,
    },
    MESSAGE,
    AGE,
  ],
};

const MACHINE: KindDefinition = {
  kind: MACHINE_KIND,
  plural: MACHINE_PLURAL,
  singular: 'linuxkitmachine',
  shortNames: ['lkm'],
  description: 'Virtual machines that boot a LinuxKitImage and follow it from digest to digest.',
  nameLimit: MACHINE_NAME_LIMIT,
  spec: machineSpec,
  status: machineStatus,
  subresources: {
    status: {},
    scale: {
      specReplicasPath: '.spec.replicas',
      statusReplicasPath: '.status.replicas',
      labelSelectorPath: '.status.selector',
    },
  },
  columns: [
    READY,
    REASON,
    {
      name: 'Replicas',
      type: 'integer',
      jsonPath: '.spec.replicas',
      description: 'Virtual machines asked for.',
    },
    {
      name: 'Up',
      type: 'integer',
      jsonPath: '.status.readyReplicas',
      description: 'Virtual machines that are ready.',
    },
    {
      name: 'Updated',
      type: 'integer',
      jsonPath: '.status.updatedReplicas',
      description: 'Virtual machines that run what is wanted.',
    },
    { name: 'Image', type: 'string', jsonPath: '.spec.imageRef.name', description: 'The image.' },
    {
      name: 'Digest',
      type: 'string',
      jsonPath: '.status.targetDigest',
      description: 'The artifact that machines are to boot.',
    },
    {
      name: 'Current',
      type: 'string',
      jsonPath: '.status.currentDigest',
      description: 'The artifact before.',
      priority: 1,
    },
    MESSAGE,
    AGE,
  ],
};

function definitionOf(definition: KindDefinition): Record<string, unknown> {
  const schema: SchemaNode = {
    description: definition.description,
    type: 'object',
    required: ['spec'],
    properties: {
      apiVersion: { description: 'The version of this schema.', type: 'string' },
      kind: { description: 'The kind of this object.', type: 'string' },
      metadata: { type: 'object' },
      spec: { ...structuralSchema(definition.spec), description: 'What is wanted.' },
      status: {
        ...structuralSchema(definition.status),
        description: 'What was last observed. Written by the operator alone.',
      },
    },
    'x-kubernetes-validations': [
      {
        rule: `self.metadata.name.size() <= ${definition.nameLimit} && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')`,
        message: `metadata.name must be lower-case letters, digits and '-', begin with a letter, and have at most ${definition.nameLimit} characters: what is made for it is named after it`,
      },
    ],
  };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${definition.plural}.${GROUP}` },
    spec: {
      group: GROUP,
      scope: 'Namespaced',
      names: {
        kind: definition.kind,
        listKind: `${definition.kind}List`,
        plural: definition.plural,
        singular: definition.singular,
        shortNames: definition.shortNames,
        categories: ['linuxkit'],
      },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          subresources: definition.subresources,
          additionalPrinterColumns: definition.columns,
          schema: { openAPIV3Schema: schema },
        },
      ],
    },
  };
}

/** File name, without folder, and content of each CustomResourceDefinition. */
export function customResourceDefinitions(): ReadonlyMap<string, Record<string, unknown>> {
  return new Map(
    [IMAGE, MACHINE].map((definition) => [`${definition.plural}.yaml`, definitionOf(definition)]),
  );
}
