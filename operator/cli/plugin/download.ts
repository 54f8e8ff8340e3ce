import { type Command, InvalidArgumentError } from 'commander';
import type { Artifact } from '../../api/image.ts';
import { IMAGE_KIND } from '../../api/names.ts';
import type { ImageObject } from '../../controllers/image/objects.ts';
import { DOWNLOADED, downloadArtifact } from './boot-image-download.ts';
import { findBootRegistry } from './boot-registry-pods.ts';
import { PluginError } from './error.ts';
import { artifactsOf } from './history-view.ts';
import { getImage } from './objects.ts';
import { forwardPort } from './port-forward.ts';
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

interface Flags extends ClusterFlags, OutputFlags {
  readonly to?: string;
  readonly digest?: string;
  readonly operatorNamespace: string;
  readonly bootRegistryPort: number;
}

/** Adds `download`: the files of an artifact. */
export function registerDownload(plugin: Command): void {
  const command = plugin
    .command('download')
    .summary("download an artifact's kernel, initrd, command line, SBOM and provenance")
    .description(
      `Writes ${DOWNLOADED.join(', ')} of an image's artifact into a folder. They come out of a boot registry by ` +
        'kubectl port-forward, which takes list on pods and create on pods/portforward in the namespace of the operator, ' +
        "and are checked against the digests in the image's status.",
    )
    .argument('<image>', 'name of the LinuxKitImage')
    .option('--to <folder>', 'folder to write to; named like the image if left out')
    .option(
      '--digest <digest>',
      'an artifact that history lists, or how its digest begins; the current one if left out',
    )
    .option('--operator-namespace <name>', 'namespace of the operator', 'linuxkit-system')
    .option('--boot-registry-port <number>', 'port of the boot registry', port, 5117);
  addOutputOption(addClusterOptions(command)).action((text: string, flags: Flags) => {
    const name = parseNameOf(IMAGE_KIND, text);
    return withSession(flags, (session) => download(session, name, flags));
  });
}

async function download(session: Session, name: string, flags: Flags): Promise<void> {
  const artifact = chosenArtifact(await getImage(session, name), flags.digest);
  const folder = flags.to ?? name;
  const registry = await findBootRegistry(session, flags.operatorNamespace, flags.bootRegistryPort);
  session.say(`from pod ${registry.namespace}/${registry.pod}`);
  await using forwarded = await forwardPort(session.kubectlFlags, registry, session.signal);
  const files = await downloadArtifact(artifact, {
    origin: forwarded.origin,
    image: `${session.namespace}/${name}`,
    folder,
    signal: session.signal,
    report: (line) => session.say(line),
  });
  if (flags.output === 'json') session.print(jsonText({ folder, files, artifact }));
  else session.print(`${folder}: ${files.join(', ')} of ${artifact.digest}\n`);
}

/** The current artifact, or the one whose digest begins so. Throws PluginError `NothingYet` or `NotFound`. */
export function chosenArtifact(image: ImageObject, digest: string | undefined): Artifact {
  const { name } = image.metadata;
  const artifacts = artifactsOf(image).map((entry) => entry.artifact);
  if (digest === undefined) {
    const current = image.status?.artifact;
    if (current !== undefined) return current;
    throw new PluginError(
      'NothingYet',
      `image/${name} has no artifact yet; see kubectl linuxkit status image/${name}`,
    );
  }
  const wanted = digest.startsWith('sha256:') ? digest : `sha256:${digest}`;
  const [found, ...more] = artifacts.filter((artifact) => artifact.digest.startsWith(wanted));
  if (found === undefined)
    throw new PluginError(
      'NotFound',
      `image/${name} keeps no artifact ${JSON.stringify(digest.slice(0, 80))}`,
    );
  if (more.length > 0)
    throw new PluginError('InvalidName', `${JSON.stringify(digest)} begins several digests of image/${name}`);
  return found;
}

function port(text: string): number {
  const value = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (value < 1 || value > 65_535) throw new InvalidArgumentError('Not a port.');
  return value;
}
