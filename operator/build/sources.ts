import type { BundlePlan } from '../linuxkit/bundle.ts';
import type { FlattenKind } from '../linuxkit/flatten-rules.ts';
import type { ContainerStep, ImagePlan, KernelStep } from '../linuxkit/plan.ts';
import type { ImageLayout } from '../oci/image-layout.ts';
import type { ResolvedImage } from '../oci/types.ts';
import type { ImageLocation, ResolvedInputs } from './resolve.ts';

/** A use of an image whose files become one member of the initrd. */
export interface TreeSource {
  /** LinuxKit's location name, for messages. */
  readonly name: string;
  readonly kind: Exclude<FlattenKind, 'kernel'>;
  readonly image: ResolvedImage;
  /** Folder that the files go to; empty for the root. */
  readonly place: string;
  /** Of a volume that holds the image itself instead of its files. */
  readonly layout?: ImageLayout;
}

/** The kernel's image: its modules are a member too. */
export interface KernelSource {
  readonly name: string;
  readonly kind: 'kernel';
  readonly image: ResolvedImage;
  readonly place: '';
  readonly step: KernelStep;
}

export type MemberSource = KernelSource | TreeSource;

/** The members that come of images, in the order in which they are unpacked. */
export function memberSources(
  plan: ImagePlan,
  kernel: KernelStep,
  bundles: readonly BundlePlan[],
  images: Pick<ResolvedInputs, 'at' | 'layoutAt'>,
): readonly [KernelSource, ...TreeSource[]] {
  return [
    { name: kernel.location, kind: 'kernel', image: images.at(kernel.location), place: '', step: kernel },
    ...plan.init.map(({ location }) => source('init', location, '')),
    ...plan.volumes.flatMap((volume) =>
      volume.image === undefined ? [] : [source('volume', volume.location, volume.lower)],
    ),
    ...bundles.flatMap(({ step, extractTo }) =>
      extractTo === undefined ? [] : [source('bundle', step.location, extractTo)],
    ),
  ];

  function source(kind: TreeSource['kind'], location: string, place: string): TreeSource {
    const layout = images.layoutAt(location);
    return {
      name: location,
      kind,
      image: images.at(location),
      place,
      ...(layout === undefined ? {} : { layout }),
    };
  }
}

/** Everything in the plan that names an image, once for each place. */
export function imageLocations(plan: ImagePlan): readonly ImageLocation[] {
  const volumes = plan.volumes.flatMap(({ location, image, format, volume }): readonly ImageLocation[] => {
    if (image === undefined) return [];
    return format === 'oci'
      ? [{ location, image, layout: { platforms: volume.platforms } }]
      : [{ location, image }];
  });
  const containers = plan.containers.map(({ location, image }: ContainerStep) => ({ location, image }));
  const kernel =
    plan.kernel === undefined ? [] : [{ location: plan.kernel.location, image: plan.kernel.image }];
  return [
    ...kernel,
    ...plan.init.map(({ location, image }) => ({ location, image })),
    ...volumes,
    ...containers,
  ];
}
