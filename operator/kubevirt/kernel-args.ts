import type { Artifact } from '../api/image.ts';
import { KERNEL_ARGS_LIMIT } from '../api/machine.ts';

/** The serial port that KubeVirt's machine types have, as the kernel names it. */
const CONSOLE: Readonly<Record<Artifact['architecture'], string>> = {
  amd64: 'console=ttyS0',
  arm64: 'console=ttyAMA0',
};

/**
 * The kernel command line: the image's, then the machine's, then the serial console if neither
 * names any, since the console is all that can be seen of a guest. What follows `--` is for
 * init and stays last.
 */
export function kernelArguments(artifact: Artifact, appended: string | undefined): string {
  const words = artifact.cmdline.text.split(/\s+/).filter((word) => word !== '');
  const separator = words.indexOf('--');
  const [kernel, init] = separator < 0 ? [words, []] : [words.slice(0, separator), words.slice(separator)];
  const all = [...kernel, ...(appended === undefined ? [] : [appended])];
  if (!all.some((argument) => /(^|\s)console=/.test(argument))) all.push(CONSOLE[artifact.architecture]);
  return [...all, ...init].join(' ');
}

/** What is wrong with a command line, if anything: longer ones boot into silence, and nobody reports it. */
export function kernelArgumentsProblem(text: string): string | undefined {
  const size = Buffer.byteLength(text);
  if (size > KERNEL_ARGS_LIMIT) {
    return `the kernel command line has ${size} bytes with the image's own part; the kernel reads at most ${KERNEL_ARGS_LIMIT}`;
  }
  return undefined;
}
