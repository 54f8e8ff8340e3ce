import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NODE_PACKAGES, nodeTools } from '../cluster/components.ts';
import { LocalCluster } from '../cluster/local-cluster.ts';
import { saveImage } from '../docker/build.ts';
import { type DockerEngine, ensureDocker } from '../docker/engine.ts';
import { makeComponents, publishComponents } from '../images/publish.ts';
import type { StandInImages } from '../kubevirt/manifests.ts';
import { buildOperatorImage, buildStandInImage } from '../operator-image/operator-image.ts';
import { together } from '../process/together.ts';
import type { Reporter } from '../progress/reporter.ts';
import { ensureServiceImage } from '../services/service-image.ts';
import { toolFamilies } from '../tools/families.ts';
import { ensurePackages } from '../tools/packages.ts';
import { ensureTools } from '../tools/tools.ts';
import { installChart } from './chart.ts';
import { Kubectl } from './kubectl.ts';
import { deployStandIn, pinnedImage } from './stand-in.ts';

/** The registry of component images as build pods know it: plain HTTP, so it must be allowed by name. */
const POD_REGISTRY = 'registry.test:5000';
const LAUNCHER = 'linuxkit/qemu-launcher';

/** A cluster with the operator installed, ready for images and machines. */
export interface Stack {
  readonly cluster: LocalCluster;
  readonly kubectl: Kubectl;
  /** Path of the helm command. */
  readonly helm: string;
  readonly images: StackImages;
}

export interface StackImages {
  readonly operator: string;
  readonly standIn: string;
  readonly storage: string;
}

/**
 * Brings everything up, reusing what runs already: the cluster, component images in its
 * registry, KubeVirt's stand-in, and the chart installed from the operator's own image.
 */
export async function bringUp(
  options: {
    readonly name: string;
    /** Of the chart, besides what every stack has. */
    readonly values?: (cluster: LocalCluster) => Readonly<Record<string, unknown>>;
  },
  reporter: Reporter,
  signal: AbortSignal,
): Promise<Stack> {
  // Compiling wants all cores for most of a first run; what waits for the network meanwhile costs no time.
  const [{ helm }, { engine, built }] = await together(signal, [
    // All at once: what they share is then compiled in one go, under one bar.
    (both) => ensureTools([...nodeTools, 'helm', 'versitygw'], reporter, both),
    async (both) => {
      await ensurePackages(['busybox-static', ...NODE_PACKAGES, ...toolFamilies.runc.cgo], reporter, both);
      const engine = await ensureDocker(reporter, both);
      const [built] = await together(both, [
        (all) => buildImages(engine, reporter, all),
        (all) => makeAll(reporter, all),
      ]);
      return { engine, built };
    },
  ]);
  const { cluster, kubectl } = await bringUpCluster(options.name, reporter, signal);

  const storage = await ensureServiceImage(
    { tool: 'versitygw', overrideVariable: 'LINUXKIT_TEST_S3_IMAGE', files: {}, command: [] },
    reporter,
    signal,
  );
  const images: StackImages = { ...built, storage };
  await loadImages(cluster, engine, Object.values(images), reporter, signal);
  const launcher = await publishInto(cluster, undefined, reporter, signal);
  await installStandIn(kubectl, { standIn: images.standIn, launcher }, reporter, signal);
  await reporter.step('install the chart', async () => {
    const values = { builds: { insecureRegistries: [POD_REGISTRY] }, ...options.values?.(cluster) };
    await installChart(helm, cluster.kubeconfig, images, values, signal);
  });
  return { cluster, kubectl, helm, images };
}

/** A cluster with KubeVirt's stand-in and nothing of the operator's: one such as `useExisting` takes. */
export async function bringUpWithoutOperator(
  name: string,
  reporter: Reporter,
  signal: AbortSignal,
): Promise<{ readonly cluster: LocalCluster; readonly kubectl: Kubectl }> {
  const engine = await ensureDocker(reporter, signal);
  const up = await bringUpCluster(name, reporter, signal);
  const standIn = await buildStandInImage(engine, reporter, signal);
  await loadImages(up.cluster, engine, [standIn], reporter, signal);
  const launcher = await publishInto(up.cluster, [LAUNCHER], reporter, signal);
  await installStandIn(up.kubectl, { standIn, launcher }, reporter, signal);
  return up;
}

async function bringUpCluster(
  name: string,
  reporter: Reporter,
  signal: AbortSignal,
): Promise<{ readonly cluster: LocalCluster; readonly kubectl: Kubectl }> {
  const { kubectl } = await ensureTools(nodeTools, reporter, signal);
  const cluster = (await LocalCluster.attach(name)) ?? (await LocalCluster.start({ name }, reporter, signal));
  return { cluster, kubectl: new Kubectl(kubectl, cluster.kubeconfig) };
}

async function loadImages(
  cluster: LocalCluster,
  engine: DockerEngine,
  images: readonly string[],
  reporter: Reporter,
  signal: AbortSignal,
): Promise<void> {
  await reporter.step('load images into the node', async (step) => {
    for (const image of images) {
      step.detail(image);
      await loadOnce(cluster, engine, image, signal);
    }
  });
}

async function buildImages(
  engine: DockerEngine,
  reporter: Reporter,
  signal: AbortSignal,
): Promise<Pick<StackImages, 'operator' | 'standIn'>> {
  const operator = await buildOperatorImage(engine, reporter, signal);
  // After it, since they have their base images in common.
  return { operator, standIn: await buildStandInImage(engine, reporter, signal) };
}

async function makeAll(reporter: Reporter, signal: AbortSignal): Promise<void> {
  await reporter.step('make component images', async (step) => {
    await makeComponents({
      signal,
      report: ({ index, count, image }) => {
        step.progress(index, count);
        step.detail(image);
      },
    });
  });
}

/** Publishes component images, all or `only` these, in the cluster's registry; gives the launcher's reference. */
async function publishInto(
  cluster: LocalCluster,
  only: readonly string[] | undefined,
  reporter: Reporter,
  signal: AbortSignal,
): Promise<string> {
  return await reporter.step('publish component images', async (step) => {
    const published = await publishComponents(cluster.registry.host, {
      signal,
      ...(only === undefined ? {} : { only }),
      report: ({ index, count, image, action }) => {
        step.progress(index, count);
        step.detail(`${action} ${image}`);
      },
    });
    const reference = published.get(LAUNCHER);
    if (reference === undefined) throw new Error(`${LAUNCHER} was not published`);
    return await pinnedImage(reference, signal);
  });
}

async function installStandIn(
  kubectl: Kubectl,
  images: StandInImages,
  reporter: Reporter,
  signal: AbortSignal,
): Promise<void> {
  await reporter.step("install KubeVirt's stand-in", async () => {
    await deployStandIn(kubectl, images, signal);
  });
}

/** Imports an image into the node unless this instance has it: a tag here is a digest of its sources. */
async function loadOnce(
  cluster: LocalCluster,
  engine: DockerEngine,
  image: string,
  signal: AbortSignal,
): Promise<void> {
  const record = join(cluster.dir, 'loaded-images.json');
  const loaded = JSON.parse(await readFile(record, 'utf8').catch(() => '[]')) as readonly string[];
  if (loaded.includes(image)) return;
  const folder = await mkdtemp(join(tmpdir(), 'linuxkit-operator-image-'));
  try {
    const archive = join(folder, 'image.tar');
    await saveImage(engine, image, archive, signal);
    const path = image.includes('/') ? image : `library/${image}`;
    await cluster.loadImage(`docker.io/${path}`, archive, signal);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  await writeFile(record, JSON.stringify([...loaded, image]));
}
