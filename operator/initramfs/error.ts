import { CodedError } from '../errors.ts';

/**
 * Why an archive cannot be written or read:
 * - `InvalidPath`: a name that the kernel would lose or misread;
 * - `DuplicatePath`, `MissingParent`, `InvalidLink`: the tree is not one that unpacks whole;
 * - `Unrepresentable`: a size, owner or device number that the format cannot hold;
 * - `ContentChanged`: a file delivered other than the announced number of bytes;
 * - `MalformedArchive`: the reader met bytes that are no initramfs.
 */
export type InitramfsErrorCode =
  | 'InvalidPath'
  | 'DuplicatePath'
  | 'MissingParent'
  | 'InvalidLink'
  | 'Unrepresentable'
  | 'ContentChanged'
  | 'MalformedArchive';

export class InitramfsError extends CodedError<InitramfsErrorCode> {}

/** A path as it appears in messages: quoted, control characters escaped, never longer than a line. */
export function shown(path: string): string {
  return JSON.stringify(path.length > 200 ? `${path.slice(0, 200)}…` : path);
}
