import { CodedError } from '../../operator/errors.ts';

/** What can go wrong while component images are made and published. */
export type ImageErrorCode =
  | 'PackageUnavailable'
  | 'LibraryMissing'
  | 'InvalidEntry'
  | 'RegistryRefused'
  | 'CommandLine';

export class ImageError extends CodedError<ImageErrorCode> {}
