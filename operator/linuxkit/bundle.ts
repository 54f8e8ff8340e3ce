import { ancestors, directory, file, type PlannedEntry } from './entries.ts';
import { InvalidSetting, LinuxKitConfigError, type Problem } from './errors.ts';
import { goJson } from './go-json.ts';
import { containerIds } from './ids.ts';
import { readLabel } from './label.ts';
import type { ContainerStep } from './plan.ts';
import { expandReference } from './references.ts';
import { readonlyRoot, runtimeConfig, writableRoot } from './runtime-config.ts';
import { runtimeSpec } from './runtime-spec.ts';
import type { LinuxKitConfig } from './schema.ts';
import { type ContainerDefaults, type ContainerSettings, containerSettings } from './settings.ts';
import { volumesByName } from './volumes.ts';

/**
 * Containers as bundles: a folder each, with the image's files, `config.json` and
 * `runtime.json`. Containers of the same image share one copy of its files.
 */

/** One container, ready to be written. */
export interface BundlePlan {
  readonly step: ContainerStep;
  readonly readonly: boolean;
  /** Folder for the image's files, unless an earlier container of the same reference brought them. */
  readonly extractTo?: string;
  /** Folder that holds the image's files: `extractTo`, or that of the earlier container. */
  readonly root: string;
  /**
   * What the bundle consists of besides the image's files, its own folder and those above it
   * first: `config.json`, `tmp`, `rootfs`, `runtime.json`.
   */
  readonly entries: readonly PlannedEntry[];
}

/**
 * Lays out all containers of a plan, in order. `imageOf` gives the configuration of a step's
 * image. Throws {@link LinuxKitConfigError} with what is wrong with the labels of the images.
 */
export function planBundles(
  config: LinuxKitConfig,
  containers: readonly ContainerStep[],
  imageOf: (step: ContainerStep) => ContainerDefaults,
): readonly BundlePlan[] {
  const names = { ids: containerIds(config), volumes: volumesByName(config.volumes) };
  const problems: Problem[] = [];
  const roots = new Map<string, string>();
  const bundles = containers.flatMap((step) => {
    try {
      const image = imageOf(step);
      const settings = containerSettings(step.spec, readLabel(image.Labels, names), image);
      return [planBundle(step, settings, goJson(runtimeSpec(settings, names)), roots)];
    } catch (error) {
      if (!(error instanceof InvalidSetting)) throw error;
      problems.push({ path: `${step.location}.image`, message: `${step.image} ${error.message}` });
      return [];
    }
  });
  if (problems.length > 0) throw new LinuxKitConfigError(problems);
  return bundles;
}

function planBundle(
  step: ContainerStep,
  settings: ContainerSettings,
  configJson: string,
  roots: Map<string, string>,
): BundlePlan {
  const { path } = step;
  const { readonly } = settings;
  const reference = expandReference(step.image);
  const earlier = roots.get(reference);
  const root = earlier ?? `${path}/${readonly ? 'rootfs' : 'lower'}`;
  roots.set(reference, root);
  const mounts = readonly ? readonlyRoot(path, root) : writableRoot(path, root);
  return {
    step,
    readonly,
    ...(earlier === undefined && { extractTo: root }),
    root,
    entries: [
      ...[...ancestors(path), path].map((folder) => directory(folder)),
      ...(earlier === undefined ? [directory(root)] : []),
      file(`${path}/config.json`, configJson),
      ...(readonly ? [] : [directory(`${path}/tmp`)]),
      ...(root === `${path}/rootfs` ? [] : [directory(`${path}/rootfs`)]),
      file(`${path}/runtime.json`, goJson(runtimeConfig(settings.runtime, mounts))),
    ],
  };
}
