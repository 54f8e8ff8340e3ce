import { CodedError } from '../errors.ts';

/**
 * What can go wrong with images:
 *
 * - `InvalidReference`: the text is no image reference.
 * - `InvalidCredentials`: a docker configuration or pull secret cannot be read. `InvalidProxy`: the address of a
 *   proxy is none.
 * - `ImageNotFound`, `RegistryUnreachable`, `RegistryUnauthorized`, `RegistryRefused`, `TooManyRedirects`:
 *   what the registry answered, or that it did not.
 * - `InvalidManifest`, `PlatformMissing`, `UnsupportedMediaType`: what it served cannot be used.
 * - `DigestMismatch`, `SizeMismatch`: it served other bytes than the descriptor promises.
 * - `InvalidTar`, `InvalidLayer`, `UnsafePath`: a layer is damaged, or hostile.
 * - `VerificationFailed`: no signature that the policy accepts. `InvalidPolicy`: the policy itself cannot be used.
 * - `LimitExceeded`: a named limit was hit; the message carries its name.
 */
export type OciErrorCode =
  | 'InvalidReference'
  | 'InvalidCredentials'
  | 'InvalidProxy'
  | 'ImageNotFound'
  | 'RegistryUnreachable'
  | 'RegistryUnauthorized'
  | 'RegistryRefused'
  | 'TooManyRedirects'
  | 'InvalidManifest'
  | 'PlatformMissing'
  | 'UnsupportedMediaType'
  | 'DigestMismatch'
  | 'SizeMismatch'
  | 'InvalidTar'
  | 'InvalidLayer'
  | 'UnsafePath'
  | 'VerificationFailed'
  | 'InvalidPolicy'
  | 'LimitExceeded';

export class OciError extends CodedError<OciErrorCode> {}

/** The error of a limit that was hit: names the constant, its value, and where. */
export function limitExceeded(name: string, value: number, where: string): OciError {
  return new OciError('LimitExceeded', `${where}: more than ${name} allows (${value})`);
}

/** A name out of an image as it may stand in a message: quoted, control characters escaped, not too long. */
export function quotePath(path: string): string {
  return JSON.stringify(path.length > 200 ? `${path.slice(0, 200)}…` : path);
}
