import type { Command } from 'commander';
import { IMAGE_KIND, LABEL_IMAGE } from '../../api/names.ts';
import { age } from './age.ts';
import { PluginError } from './error.ts';
import { getImage } from './objects.ts';
import { copyLogWhenStarted, lineCount, podsOf } from './pod-log.ts';
import { addClusterOptions, type ClusterFlags, type Session, withSession } from './session.ts';
import { parseNameOf } from './target.ts';

interface Flags extends ClusterFlags {
  readonly follow?: true;
  readonly tail?: number;
}

/** The container that builds. */
const CONTAINER = 'build';

/** Adds `logs`: the log of an image's latest build. */
export function registerLogs(plugin: Command): void {
  const command = plugin
    .command('logs')
    .summary("print the log of an image's latest build")
    .description(
      "Prints the log of the latest try of an image's latest build. When its pod is gone, what the status of the " +
        'image kept of a failure.',
    )
    .argument('<image>', 'name of the LinuxKitImage')
    .option('-f, --follow', 'go on until the build ends')
    .option('--tail <lines>', 'only so many lines from the end', lineCount);
  addClusterOptions(command).action((text: string, flags: Flags) => {
    const name = parseNameOf(IMAGE_KIND, text);
    return withSession(flags, (session) => logs(session, name, flags));
  });
}

async function logs(session: Session, name: string, flags: Flags): Promise<void> {
  const image = await getImage(session, name);
  const [pod, ...earlier] = await podsOf(session, `${LABEL_IMAGE}=${name}`);
  if (pod !== undefined) {
    const tries = earlier.length === 0 ? '' : `, ${earlier.length} earlier ones are there too`;
    session.say(
      `pod ${pod.metadata.name}, ${age(pod.metadata.creationTimestamp, session.now())} old${tries}`,
    );
    await copyLogWhenStarted(session, {
      pod: pod.metadata.name,
      container: CONTAINER,
      follow: flags.follow === true,
      ...(flags.tail === undefined ? {} : { tail: flags.tail }),
    });
    return;
  }
  const failure = image.status?.lastFailure;
  if (failure?.logTail === undefined) {
    throw new PluginError(
      'NothingYet',
      `image/${name} has no build pod any more, and no failure that kept a log; ask for a build with kubectl linuxkit rebuild ${name}`,
    );
  }
  session.say(
    `the pod is gone; this is the end of its log when it failed, ${age(failure.time, session.now())} ago`,
  );
  session.print(`${failure.logTail.trimEnd()}\n`);
}
