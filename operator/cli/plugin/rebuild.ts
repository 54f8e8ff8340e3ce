import type { Command } from 'commander';
import { ANNOTATION_REBUILD, IMAGE_KIND } from '../../api/names.ts';
import { IMAGES } from '../../controllers/image/objects.ts';
import { getImage } from './objects.ts';
import { rebuildProgress } from './progress.ts';
import {
  addClusterOptions,
  addOutputOption,
  type ClusterFlags,
  jsonText,
  type OutputFlags,
  type Session,
  withSession,
} from './session.ts';
import { parseNameOf } from './target.ts';
import { waitUntilDone } from './wait.ts';
import { addWaitOptions, type WaitFlags } from './wait-options.ts';

type Flags = ClusterFlags & OutputFlags & WaitFlags;

/** Adds `rebuild`: asks for one more build of an image. */
export function registerRebuild(plugin: Command): void {
  const command = plugin
    .command('rebuild')
    .summary('ask for one more build of an image')
    .description(
      'Asks for one more build: tags are looked up again, mounted Secrets and ConfigMaps are read again. ' +
        'Where that gives what there is already, the artifact stays as it is.',
    )
    .argument('<image>', 'name of the LinuxKitImage');
  addWaitOptions(addOutputOption(addClusterOptions(command))).action((text: string, flags: Flags) => {
    const name = parseNameOf(IMAGE_KIND, text);
    return withSession(flags, (session) => rebuild(session, name, flags));
  });
}

async function rebuild(session: Session, name: string, flags: Flags): Promise<void> {
  const { client, namespace, signal } = session;
  const image = await getImage(session, name);
  const token = new Date(session.now()).toISOString();
  const patch = { metadata: { annotations: { [ANNOTATION_REBUILD]: token } } };
  await client.patch(IMAGES, { namespace, name }, patch, { signal, fieldManager: 'kubectl-linuxkit' });
  if (image.spec?.suspend === true) session.say(`image/${name} is suspended: it is built when that ends`);
  let artifact: string | undefined;
  if (flags.wait === true) {
    await waitUntilDone(
      session,
      async () => {
        const { status } = await getImage(session, name);
        artifact = status?.artifact?.digest;
        return rebuildProgress(status, token);
      },
      { timeoutMs: flags.timeout, failure: 'BuildFailed', what: `image/${name}` },
    );
  }
  const before = image.status?.artifact?.digest;
  if (flags.output === 'json') {
    session.print(
      jsonText({
        namespace,
        image: name,
        requestedAt: token,
        ...(artifact === undefined ? {} : { artifact, changed: artifact !== before }),
      }),
    );
  } else if (artifact === undefined) session.print(`image/${name}: a build was asked for\n`);
  else session.print(`image/${name}: ${artifact}${artifact === before ? ', as before' : ''}\n`);
}
