import { CodedError } from '../errors.ts';

/** One thing that is wrong with a configuration. */
export interface Problem {
  /** The field, such as `services[1].capabilities[0]`; empty for the document as a whole. */
  readonly path: string;
  readonly message: string;
  /** Where the text came from, and where in it; both counted from 1. Absent for a configuration that is no text. */
  readonly source?: string;
  readonly line?: number;
  readonly column?: number;
}

/** Problems beyond this number are counted in the message, not listed. */
const MAX_LISTED = 20;

/**
 * A configuration that cannot be built. It carries everything that was found at once, in the
 * order of the text, and lists it in the message.
 */
export class LinuxKitConfigError extends CodedError<'InvalidLinuxKitConfig'> {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super('InvalidLinuxKitConfig', list(problems));
    this.problems = problems;
  }
}

function list(problems: readonly Problem[]): string {
  const listed = problems.slice(0, MAX_LISTED).map(formatProblem).join('; ');
  const rest = problems.length - MAX_LISTED;
  return rest > 0 ? `${listed}; and ${rest} more` : listed;
}

/** `image.yml:12:7: services[1].capabilities[0]: unknown capability CAP_FOO`, without the parts that are not known. */
export function formatProblem({ source, line, column, path, message }: Problem): string {
  const place = [source, line, column].filter((part) => part !== undefined).join(':');
  return [place, path, message].filter((part) => part !== '').join(': ');
}

/**
 * A setting that a parser of this folder refuses, without knowing where it stands; whoever
 * does turns it into a {@link Problem}. Never leaves the folder.
 */
export class InvalidSetting extends CodedError<'InvalidSetting'> {
  constructor(message: string) {
    super('InvalidSetting', message);
  }
}
