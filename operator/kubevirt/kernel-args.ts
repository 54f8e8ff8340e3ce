import type { Artifact } from '../api/image.ts';
import { KERNEL_ARGS_LIMIT } from '../api/machine.ts';

/** The serial port that KubeVirt's machine types have, as the kernel names it. */
const SERIAL: Readonly<Record<Artifact['architecture'], string>> = { amd64: 'ttyS0', arm64: 'ttyAMA0' };

/** Consoles that are serial ports of some architecture: `ttyS0,115200` as well. */
const SERIAL_PORT = /^tty(?:S|AMA)\d+$/;

/**
 * The kernel command line: the image's, then the machine's, then the serial console where neither
 * names any, or only the serial port of another architecture, since the console is all that can be seen of
 * a guest. What follows `--` is for init and stays last.
 */
export function kernelArguments(artifact: Artifact, appended: string | undefined): string {
  const words = artifact.cmdline.text.split(/\s+/).filter((word) => word !== '');
  const separator = words.indexOf('--');
  const [kernel, init] = separator < 0 ? [words, []] : [words.slice(0, separator), words.slice(separator)];
  const all = [...kernel, ...(appended === undefined ? [] : [appended])];
  const consoles = [...all.join(' ').matchAll(/(?:^|\s)console=([^\s,]*)/g)].map(
    ([, device]) => device ?? '',
  );
  const serial = SERIAL[artifact.architecture];
  const ports = consoles.filter((device) => SERIAL_PORT.test(device));
  const others = ports.filter((device) => !device.startsWith(serial.slice(0, -1)));
  if (consoles.length === 0 || (ports.length > 0 && others.length === ports.length))
    all.push(`console=${serial}`);
  return [...all, ...init].join(' ');
}

/** What EFI firmware appends to the command line of a kernel that it is given with an initrd. */
const BY_FIRMWARE = ' initrd=initrd';

/**
 * What is wrong with a command line, if anything: longer ones boot into silence, and nobody reports it. `efi` says
 * that the guest is started by EFI firmware, as all of arm64 are.
 */
export function kernelArgumentsProblem(text: string, efi: boolean): string | undefined {
  const added = efi ? BY_FIRMWARE : '';
  const size = Buffer.byteLength(text + added);
  if (size <= KERNEL_ARGS_LIMIT) return undefined;
  const also = efi ? ` and the firmware's${added}` : '';
  return `the kernel command line has ${size} bytes with the image's own part${also}; the kernel reads at most ${KERNEL_ARGS_LIMIT}`;
}
