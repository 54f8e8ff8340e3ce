import type { KernelSpec, LinuxKitConfig } from './schema.ts';

/** Several configurations as one: lists one after another, and of the kernel's settings the last one given. */

/** The lists of a configuration, which are simply joined. */
export const LISTS = ['init', 'onboot', 'onshutdown', 'services', 'volumes', 'files', 'outputs'] as const;

export function mergeConfigs(configs: readonly LinuxKitConfig[]): LinuxKitConfig {
  return configs.reduce(mergeTwo, {});
}

function mergeTwo(earlier: LinuxKitConfig, later: LinuxKitConfig): LinuxKitConfig {
  const trusts = earlier.trust !== undefined || later.trust !== undefined;
  return {
    kernel: later.kernel === undefined ? earlier.kernel : mergeKernel(earlier.kernel ?? {}, later.kernel),
    init: join(earlier.init, later.init),
    onboot: join(earlier.onboot, later.onboot),
    onshutdown: join(earlier.onshutdown, later.onshutdown),
    services: join(earlier.services, later.services),
    volumes: join(earlier.volumes, later.volumes),
    files: join(earlier.files, later.files),
    trust: trusts
      ? {
          image: join(earlier.trust?.image, later.trust?.image),
          org: join(earlier.trust?.org, later.trust?.org),
        }
      : undefined,
    outputs: join(earlier.outputs, later.outputs),
  };
}

function join<E>(
  earlier: readonly E[] | undefined,
  later: readonly E[] | undefined,
): readonly E[] | undefined {
  return earlier === undefined || later === undefined ? (earlier ?? later) : [...earlier, ...later];
}

/** An empty string says nothing, except for the archives, where it means none. */
function mergeKernel(earlier: KernelSpec, later: KernelSpec): KernelSpec {
  const given = Object.entries(later).filter(
    ([key, value]) => value !== undefined && (value !== '' || key === 'tar' || key === 'ucode'),
  );
  return { ...earlier, ...Object.fromEntries(given) };
}
