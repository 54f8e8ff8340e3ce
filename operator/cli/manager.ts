import type { Command } from 'commander';
import { stopSignal } from './exit.ts';
import { runManager } from './manager/run.ts';
import { addManagerOptions, type ManagerSettings } from './manager/settings.ts';

/** Adds `manager`: the controllers of both kinds, and the artifact endpoint for build pods. */
export function registerManager(program: Command): void {
  const command = program
    .command('manager')
    .summary('run the controllers, and the artifact endpoint for build pods')
    .description(
      'Runs the controllers of LinuxKitImages and LinuxKitMachines in the replica that leads, and the artifact ' +
        'endpoint in every one. The bucket is given by LINUXKIT_S3_BUCKET, LINUXKIT_S3_ENDPOINT, ' +
        'LINUXKIT_S3_REGION, LINUXKIT_S3_FORCE_PATH_STYLE and LINUXKIT_S3_CA_FILE. ' +
        'A variable that stands for a repeated option holds its values with commas between.',
    );
  addManagerOptions(command).action((settings: ManagerSettings) => runManager(settings, stopSignal()));
}
