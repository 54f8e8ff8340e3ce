import { type ImageSet, imageReference, type SetImage } from './image-sets.ts';

/** What the pipeline by hand does anew; what it does not, it has kept from its last run. */
export interface HandWork {
  /** Ask the registry for these images, and copy what is new of them. */
  readonly copy: readonly SetImage[];
  /** Unpack these; the others are unpacked already. */
  readonly unpack: readonly SetImage[];
  /** With which compressor the initrd is made; undefined when nothing has changed. */
  readonly pack: 'gzip' | 'zstd' | undefined;
}

/** Packages of the tools that a person would reach for. */
export const HAND_PACKAGES = ['skopeo', 'umoci', 'cpio', 'zstd', 'pigz'] as const;

const COMPRESSORS = { zstd: 'zstd -q -T0 -3', gzip: 'pigz -6' } as const;

/**
 * A shell script that makes an initrd of a set with common tools, in the working folder. It knows nothing
 * of LinuxKit's generated files and judges nothing that it unpacks: it is what transport and packing cost.
 */
export function handScript(set: ImageSet, registry: string, { copy, unpack, pack }: HandWork): string {
  const packing = `(cd root && find . -print0 | cpio --null --create --format=newc --quiet)`;
  return [
    'set -eu',
    'mkdir -p root unpacked',
    ...copy.map(
      ({ name }) =>
        `skopeo --insecure-policy copy --quiet --src-tls-verify=false docker://${imageReference(set, name, registry)} oci:layout:${name}`,
    ),
    ...unpack.flatMap((image) => [
      `rm -rf unpacked/${image.name}`,
      `umoci --log=error raw unpack --image layout:${image.name} unpacked/${image.name}`,
      ...place(image),
    ]),
    'date >root/built-at',
    ...(pack === undefined ? [] : [`${packing} | ${COMPRESSORS[pack]} >initrd.img`]),
    '',
  ].join('\n');
}

function place({ name, role }: SetImage): readonly string[] {
  const unpacked = `unpacked/${name}`;
  switch (role) {
    case 'kernel':
      return [`cp ${unpacked}/kernel kernel`, `tar -xf ${unpacked}/kernel.tar -C root`];
    case 'init':
      // Hard links instead of copies: nothing is faster.
      return [`cp -al ${unpacked}/. root/`];
    case 'onboot':
    case 'services': {
      const folder = `root/containers/${role}/${name}`;
      return [`rm -rf ${folder}`, `mkdir -p ${folder}`, `mv ${unpacked} ${folder}/rootfs`];
    }
    default:
      return role satisfies never;
  }
}
