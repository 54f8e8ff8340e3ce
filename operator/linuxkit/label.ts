import { InvalidSetting, LinuxKitConfigError } from './errors.ts';
import type { ContainerIds } from './ids.ts';
import { labelSchema } from './image-schema.ts';
import { settingProblems } from './rules.ts';
import type { ImageLabel } from './schema.ts';
import { formatPath, structureProblems } from './structure.ts';
import type { VolumesByName } from './volumes.ts';
import { plainValue } from './yaml-node.ts';
import { readYamlTree } from './yaml-tree.ts';

/**
 * The label in which an image says how it wants to be run: YAML, of which JSON is a part, with
 * the settings of a container but without name and image.
 */

const LABEL = 'org.mobyproject.config';

/** The label of an image; nothing where it has none. Throws {@link InvalidSetting} naming all that is wrong with it. */
export function readLabel(
  labels: Readonly<Record<string, string>> | undefined,
  names: { readonly ids: ContainerIds; readonly volumes: VolumesByName },
): ImageLabel {
  const text = labels !== undefined && Object.hasOwn(labels, LABEL) ? labels[LABEL] : undefined;
  if (text === undefined || text === '') return {};
  const value = readValue(text);
  const structure = structureProblems(labelSchema, value);
  if (structure.length > 0) throw invalidLabel(structure);
  const label: ImageLabel = labelSchema.parse(value);
  const meaning = settingProblems([], label, names);
  if (meaning.length > 0) throw invalidLabel(meaning);
  return label;
}

function readValue(text: string): unknown {
  try {
    return plainValue(readYamlTree(text, `label ${LABEL}`));
  } catch (error) {
    if (error instanceof LinuxKitConfigError)
      throw new InvalidSetting(`of the image is wrong: ${error.message}`);
    throw error;
  }
}

function invalidLabel(
  problems: readonly { readonly path: readonly (string | number)[]; readonly message: string }[],
): InvalidSetting {
  const listed = problems.slice(0, 10).map(({ path, message }) => `${formatPath(path)}: ${message}`);
  return new InvalidSetting(`of the image has a label ${LABEL} that is wrong: ${listed.join('; ')}`);
}
