/** A set of images that are measured together. Sizes in MB of files (10^6 bytes). */
export interface ImageSet {
  readonly name: SetName;
  readonly images: readonly SetImage[];
}

export interface SetImage {
  readonly name: string;
  readonly role: 'kernel' | 'init' | 'onboot' | 'services';
  readonly megabytes: number;
  readonly layers?: number;
}

export const SET_NAMES = ['mid', 'big'] as const;
export type SetName = (typeof SET_NAMES)[number];

/** The image of which a new version is published in the case that changes one. */
export const SMALL_SERVICE = 'getty';

const base = (sizes: { readonly kernel: number; readonly init: number; readonly containerd: number }) =>
  [
    { name: 'kernel', role: 'kernel', megabytes: sizes.kernel },
    { name: 'init', role: 'init', megabytes: sizes.init, layers: 2 },
    { name: 'runc', role: 'init', megabytes: 12 },
    { name: 'containerd', role: 'init', megabytes: sizes.containerd },
    { name: 'sysctl', role: 'onboot', megabytes: 4 },
    { name: 'format', role: 'onboot', megabytes: 8 },
    { name: SMALL_SERVICE, role: 'services', megabytes: 3 },
  ] as const satisfies readonly SetImage[];

export const IMAGE_SETS: Readonly<Record<SetName, ImageSet>> = {
  mid: {
    name: 'mid',
    images: [
      ...base({ kernel: 80, init: 30, containerd: 60 }),
      { name: 'sshd', role: 'services', megabytes: 33 },
      { name: 'docker', role: 'services', megabytes: 100, layers: 3 },
      { name: 'node', role: 'services', megabytes: 70, layers: 2 },
    ],
  },
  big: {
    name: 'big',
    images: [
      ...base({ kernel: 90, init: 40, containerd: 100 }),
      { name: 'sshd', role: 'services', megabytes: 40 },
      { name: 'docker', role: 'services', megabytes: 280, layers: 3 },
      { name: 'node', role: 'services', megabytes: 350, layers: 3 },
      { name: 'python', role: 'services', megabytes: 450, layers: 4 },
      { name: 'java', role: 'services', megabytes: 560, layers: 4 },
    ],
  },
};

/**
 * LinuxKit YAML for a set whose images are at `registry`. `note` goes into an inline file. With a `kernel`
 * instead of the set's own, which is none, the result can be booted as far as init.
 */
export function linuxKitYaml(set: ImageSet, registry: string, note: string, kernel?: string): string {
  const reference = ({ name }: SetImage): string => imageReference(set, name, registry);
  const containers = (role: SetImage['role']): readonly string[] =>
    set.images
      .filter((image) => image.role === role)
      .map((image) => `  - {name: ${image.name}, image: "${reference(image)}"}`);
  const kernels = set.images.filter(({ role }) => role === 'kernel').map(reference);
  return [
    'kernel:',
    `  image: "${kernel ?? kernels.join()}"`,
    '  cmdline: console=ttyS0',
    'init:',
    ...set.images.filter(({ role }) => role === 'init').map((image) => `  - "${reference(image)}"`),
    'onboot:',
    ...containers('onboot'),
    'services:',
    ...containers('services'),
    'files:',
    `  - {path: etc/motd, contents: "${note}", mode: "0644"}`,
    ...(kernel === undefined ? [] : ['  - {path: init, contents: "none", mode: "0755"}']),
    '',
  ].join('\n');
}

export function imageReference(set: ImageSet, image: string, registry: string): string {
  return `${registry}/${set.name}/${image}:1`;
}
