import { CodedError } from '../../errors.ts';

export type PluginErrorCode =
  | 'InvalidName'
  | 'NotFound'
  | 'NothingYet'
  | 'NoSuchRevision'
  | 'BuildFailed'
  | 'RolloutFailed'
  | 'TimedOut'
  | 'ForwardFailed'
  | 'DownloadFailed'
  | 'DigestMismatch';

/** Why a subcommand of the plugin did not do what it was asked for. */
export class PluginError extends CodedError<PluginErrorCode> {}
