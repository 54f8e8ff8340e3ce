import { posix } from 'node:path';
import type { Firmware, InstanceSpec } from '../api/instance-spec.ts';
import type { Cause } from './cause.ts';

const PULL_POLICIES = ['Always', 'IfNotPresent', 'Never'];

/** What KubeVirt refuses of a machine's firmware; `field` leads to the firmware. */
export function firmwareRefusals(spec: InstanceSpec, field: string): Cause[] {
  const { firmware, features } = spec.domain;
  if (firmware === undefined) return [];
  return [
    ...kernelBootRefusals(firmware, `${field}.kernelBoot`),
    ...bootloaderRefusals(firmware, features?.smm !== undefined && features.smm.enabled !== false, field),
  ];
}

function kernelBootRefusals({ kernelBoot: boot }: Firmware, field: string): Cause[] {
  if (boot === undefined) return [];
  if (boot.container === undefined) {
    if (!boot.kernelArgs) return [];
    return [
      {
        field: `${field}.kernelArgs`,
        message: 'kernel arguments cannot be provided without an external kernel',
      },
    ];
  }
  const causes: Cause[] = [];
  const { image, imagePullPolicy, kernelPath, initrdPath } = boot.container;
  const container = `${field}.container`;
  if (!image)
    causes.push({ field: `${container}.image`, message: `${container} must be defined with an image` });
  if (imagePullPolicy !== undefined && !PULL_POLICIES.includes(imagePullPolicy)) {
    causes.push({
      field: `${container}.imagePullPolicy`,
      message: `${imagePullPolicy} is not one of ${PULL_POLICIES.join(', ')}`,
    });
  }
  if (!kernelPath && !initrdPath) {
    causes.push({
      field: container,
      message: `${container} must be defined with at least one of the following: kernelPath, initrdPath`,
    });
  }
  for (const [name, path] of Object.entries({ kernelPath, initrdPath })) {
    if (path) causes.push(...pathRefusals(path, `${container}.${name}`));
  }
  return causes;
}

function pathRefusals(path: string, field: string): Cause[] {
  if (path === '/') return [{ field, message: `${field} must not point to root` }];
  return posix.join('/', path) === path
    ? []
    : [{ field, message: `${field} must be an absolute path to a file without relative elements` }];
}

/** Secure boot is the default of `efi`, and wants system management mode. */
function bootloaderRefusals({ bootloader }: Firmware, smm: boolean, field: string): Cause[] {
  if (bootloader?.efi === undefined || bootloader.efi.secureBoot === false || smm) return [];
  const where = `${field}.bootloader.efi.secureBoot`;
  return [
    { field: where, message: `${where} has SecureBoot enabled, but SMM is disabled in spec.domain.features` },
  ];
}
