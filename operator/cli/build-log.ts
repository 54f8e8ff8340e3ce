import type { ReportProgress } from '../build/progress.ts';
import type { Logger } from '../telemetry/logger.ts';

/** Tells a log how a build proceeds, a line an event: what a build pod writes. */
export function logReport(logger: Logger): ReportProgress {
  return (event) => {
    const { kind, ...fields } = event;
    switch (kind) {
      case 'step':
        logger.info('step begins', fields);
        return;
      case 'ended':
        logger.info('problem' in fields ? 'step failed' : 'step ended', fields);
        return;
      case 'resolved':
        logger.info('resolved', fields);
        return;
      case 'verified':
        logger.info('verified', fields);
        return;
      case 'pulled':
        // One that failed is told of by its step, and one that was given up concerns nobody.
        if (event.problem === undefined) logger.info('pulled', fields);
        else logger.debug('pull ended early', fields);
        return;
      case 'member':
        // `name` is the image's.
        logger.info('member', { member: event.name, cached: event.cached, size: event.size });
        return;
      case 'warning':
        logger.warn(event.message);
        return;
      default:
        kind satisfies never;
    }
  };
}
