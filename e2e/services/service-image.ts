import { createHash } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GenericContainer, getContainerRuntimeClient, ImageName } from 'testcontainers';
import { ensureDocker } from '../docker/engine.ts';
import { withLock } from '../process/lock.ts';
import type { Reporter } from '../progress/reporter.ts';
import { cacheFolder } from '../tools/cache.ts';
import type { ToolName } from '../tools/families.ts';
import { ensureTools } from '../tools/tools.ts';

/** An image made of one compiled binary and a few small files, `FROM scratch`. */
export interface ServiceImage {
  readonly tool: ToolName;
  /** Names an image to use instead, where official ones can be pulled. */
  readonly overrideVariable: string;
  /** Absolute path in the image to content. */
  readonly files: Readonly<Record<string, string>>;
  readonly command: readonly string[];
}

/**
 * Sees to it that a Docker engine runs and has the image, and returns its name. The
 * environment of this process is set so that testcontainers finds that engine.
 */
export async function ensureServiceImage(
  image: ServiceImage,
  reporter: Reporter,
  signal: AbortSignal,
): Promise<string> {
  const engine = await ensureDocker(reporter, signal);
  Object.assign(process.env, engine.env);
  const override = process.env[image.overrideVariable];
  if (override !== undefined && override !== '') return override;

  const paths: Readonly<Partial<Record<ToolName, string>>> = await ensureTools(
    [image.tool],
    reporter,
    signal,
  );
  const binary = paths[image.tool] ?? '';
  // The binary's path holds the digest of what it was built from.
  const key = createHash('sha256')
    .update(JSON.stringify([binary, image]))
    .digest('hex')
    .slice(0, 16);
  const name = `linuxkit-operator-test/${image.tool}:${key}`;
  const client = await getContainerRuntimeClient();
  const exists = async (): Promise<boolean> => await client.image.exists(ImageName.fromString(name));
  if (await exists()) return name;
  await withLock(join(cacheFolder(), `image-${image.tool}.lock`), signal, async () => {
    if (await exists()) return;
    await reporter.step(`build the ${image.tool} image`, async () => {
      await build(image, binary, name);
    });
  });
  return name;
}

async function build(image: ServiceImage, binary: string, name: string): Promise<void> {
  const context = await mkdtemp(join(tmpdir(), 'service-image-'));
  try {
    await copyFile(binary, join(context, image.tool));
    const lines = ['FROM scratch', `COPY ${image.tool} /${image.tool}`];
    await mkdir(join(context, 'files'));
    for (const [index, [path, content]] of Object.entries(image.files).entries()) {
      await writeFile(join(context, 'files', String(index)), content);
      lines.push(`COPY files/${index} ${path}`);
    }
    lines.push(`ENTRYPOINT ["/${image.tool}"]`, `CMD ${JSON.stringify(image.command)}`);
    await writeFile(join(context, 'Dockerfile'), `${lines.join('\n')}\n`);
    await GenericContainer.fromDockerfile(context).build(name, { deleteOnExit: false });
  } finally {
    await rm(context, { recursive: true, force: true });
  }
}
