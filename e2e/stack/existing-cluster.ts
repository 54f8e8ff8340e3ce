import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { type DockerEngine, ensureDocker } from '../docker/engine.ts';
import type { Component } from '../images/component.ts';
import { COMPONENTS } from '../images/components/catalogue.ts';
import { archiveImage } from '../images/oci-archive.ts';
import { componentImage } from '../images/publish.ts';
import { buildOperatorImage } from '../operator-image/operator-image.ts';
import { run } from '../process/run.ts';
import { Failure } from '../progress/failure.ts';
import type { Reporter } from '../progress/reporter.ts';
import { ensureServiceImage } from '../services/service-image.ts';
import { ensurePackages } from '../tools/packages.ts';
import { ensureTools } from '../tools/tools.ts';
import { installChart } from './chart.ts';
import { Kubectl } from './kubectl.ts';

/** Images that only the local cluster's stand-in needs. */
const LOCAL_ONLY = ['linuxkit/qemu-launcher'];

/** Where images go that the cluster can pull. */
export interface GivenRegistry {
  /** `host[:port]` and, where there is one, `/path`. */
  readonly path: string;
  readonly plainHttp: boolean;
}

/** Reads `[http://]host[:port][/path]`. */
export function parseGivenRegistry(text: string): GivenRegistry {
  const plainHttp = text.startsWith('http://');
  return { path: text.replace(/^https?:\/\//, '').replace(/\/+$/, ''), plainHttp };
}

/**
 * Installs the operator into a cluster that has KubeVirt. `registry` is one that the docker client
 * may push to and that cluster and pods can pull from.
 */
export async function useExisting(
  options: { readonly kubeconfig: string; readonly registry: GivenRegistry },
  reporter: Reporter,
  signal: AbortSignal,
): Promise<Kubectl> {
  const { kubeconfig } = options;
  const { path: registry, plainHttp } = options.registry;
  const { kubectl: binary, helm } = await ensureTools(['kubectl', 'helm'], reporter, signal);
  const kubectl = new Kubectl(binary, kubeconfig);
  await reporter.step('look for KubeVirt', async () => await requireKubeVirt(kubectl, signal));

  await ensurePackages(['busybox-static'], reporter, signal);
  const engine = await ensureDocker(reporter, signal);
  const operator = await buildOperatorImage(engine, reporter, signal);
  const storage = await ensureServiceImage(
    { tool: 'versitygw', overrideVariable: 'LINUXKIT_TEST_S3_IMAGE', files: {}, command: [] },
    reporter,
    signal,
  );
  const images = await reporter.step(`push images to ${registry}`, async (step) => {
    const push = async (image: string, name: string): Promise<string> => {
      step.detail(name);
      return await pushAs(engine, image, `${registry}/${name}`, signal);
    };
    for (const component of COMPONENTS.filter((each) => !LOCAL_ONLY.includes(each.repository))) {
      const name = `${component.repository}:${component.tag}`;
      await loadComponent(engine, component, name, signal);
      await push(name, name);
    }
    return { operator: await push(operator, operator), storage: await push(storage, storage) };
  });
  await reporter.step('install the chart', async () => {
    const values = plainHttp ? { builds: { insecureRegistries: [registry.split('/')[0]] } } : {};
    await installChart(helm, kubeconfig, images, values, signal);
  });
  return kubectl;
}

async function requireKubeVirt(kubectl: Kubectl, signal: AbortSignal): Promise<void> {
  const found = await run(
    kubectl.binary,
    [
      '--kubeconfig',
      kubectl.kubeconfig,
      'get',
      'crd',
      'virtualmachines.kubevirt.io',
      '--ignore-not-found',
      '--output=name',
    ],
    {
      signal,
      advice: `see whether the cluster answers: kubectl --kubeconfig ${kubectl.kubeconfig} get nodes`,
    },
  );
  if (found.trim() !== '') return;
  throw new Failure('ToolMissing', 'this cluster has no KubeVirt', {
    advice: 'install KubeVirt 1.9 first, or run without --kubeconfig for a local cluster',
  });
}

async function pushAs(
  engine: DockerEngine,
  image: string,
  target: string,
  signal: AbortSignal,
): Promise<string> {
  const options = { signal, env: engine.env, timeout: 600_000 };
  const [host] = target.split('/');
  await run('docker', ['tag', image, target], options);
  await run('docker', ['push', '--quiet', target], {
    ...options,
    advice: `run docker login ${host}; where it has no TLS, name ${host} among the insecure-registries of the Docker engine`,
  });
  return target;
}

async function loadComponent(
  engine: DockerEngine,
  component: Component,
  name: string,
  signal: AbortSignal,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'linuxkit-component-'));
  try {
    const archive = join(folder, 'image.tar');
    await pipeline(
      archiveImage(await componentImage(component, signal), name, signal),
      createWriteStream(archive),
      { signal },
    );
    await run('docker', ['load', '--quiet', '--input', archive], {
      signal,
      env: engine.env,
      timeout: 300_000,
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
