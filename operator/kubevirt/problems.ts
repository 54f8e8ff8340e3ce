import type { Artifact } from '../api/image.ts';
import type { LinuxKitMachine } from '../api/machine.ts';
import { guestMemoryProblem } from './guest-memory.ts';
import { metadataProblem } from './guest-metadata.ts';
import { kernelArguments, kernelArgumentsProblem } from './kernel-args.ts';
import { bootReferenceProblem } from './reference.ts';
import { bootReference, instanceSpec, type RenderOptions } from './render.ts';
import { mergeTemplate, reservedKeys } from './template-merge.ts';

/** Something that KubeVirt would take and then boot into silence, or that would break what is ours. */
export interface RenderProblem {
  readonly reason: 'InvalidMachine' | 'InvalidTemplate';
  /** `FIELD: what is wrong and what to do`. */
  readonly message: string;
}

/**
 * Everything that is wrong with a machine as it would be rendered. Nothing is rendered while there is any.
 * `instanceMemory` is what its instance type gives, where that is known.
 */
export function renderProblems(
  machine: LinuxKitMachine,
  artifact: Artifact,
  options: RenderOptions,
  instanceMemory?: string,
): readonly RenderProblem[] {
  const { spec } = machine;
  const problems: RenderProblem[] = [];
  const invalid = (field: string, problem: string | undefined): void => {
    if (problem !== undefined) problems.push({ reason: 'InvalidMachine', message: `${field}: ${problem}` });
  };
  if (options.bootRegistryHost === undefined && artifact.bootImage.repository === undefined)
    invalid(
      'spec.bootImage of the image',
      'there are no boot registries here, so name a registry that it is pushed to',
    );
  else
    invalid(
      'status.artifact.bootImage.reference of the image',
      bootReferenceProblem(bootReference(artifact, options)),
    );
  const efi = artifact.architecture === 'arm64' || asksForEfi(spec.template?.spec);
  invalid('spec.kernelArgs', kernelArgumentsProblem(kernelArguments(artifact, spec.kernelArgs), efi));
  if (spec.memory !== undefined) invalid('spec.memory', guestMemoryProblem(spec.memory, artifact));
  if (spec.instancetype !== undefined && instanceMemory !== undefined) {
    const problem = guestMemoryProblem(instanceMemory, artifact);
    invalid('spec.instancetype', problem && `${spec.instancetype.name}: ${problem}`);
  }
  invalid('spec.metadata', metadataProblem(machine));

  const { conflicts } = mergeTemplate(instanceSpec(machine, 0, artifact, options), spec.template?.spec);
  for (const path of conflicts) {
    problems.push({
      reason: 'InvalidTemplate',
      message: `spec.template.spec.${path}: is set by the machine itself; use its own field, or leave it out of the template`,
    });
  }
  for (const [what, keys] of [
    ['labels', reservedKeys(spec.template?.metadata?.labels)],
    ['annotations', reservedKeys(spec.template?.metadata?.annotations)],
  ] as const) {
    for (const key of keys) {
      problems.push({
        reason: 'InvalidTemplate',
        message: `spec.template.metadata.${what}: ${key} belongs to the operator or to KubeVirt`,
      });
    }
  }
  return problems;
}

/** Whether `domain.firmware.bootloader.efi` is there. */
function asksForEfi(template: unknown): boolean {
  let at = template;
  for (const key of ['domain', 'firmware', 'bootloader', 'efi']) {
    if (typeof at !== 'object' || at === null) return false;
    at = (at as Readonly<Record<string, unknown>>)[key];
  }
  return at !== undefined && at !== null;
}
