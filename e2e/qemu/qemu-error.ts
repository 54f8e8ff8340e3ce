import { CodedError } from '../../operator/errors.ts';

/** EmulatorEnded (before what was waited for), ConsoleSilent (deadline passed), MonitorFailed. */
export type QemuErrorCode = 'EmulatorEnded' | 'ConsoleSilent' | 'MonitorFailed';

export class QemuError extends CodedError<QemuErrorCode> {}
