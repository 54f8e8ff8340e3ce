import { CodedError } from '../../operator/errors.ts';

/** EmulatorMissing, EmulatorEnded (before what was waited for), ConsoleSilent (deadline passed), MonitorFailed. */
export type QemuErrorCode = 'EmulatorMissing' | 'EmulatorEnded' | 'ConsoleSilent' | 'MonitorFailed';

export class QemuError extends CodedError<QemuErrorCode> {}
