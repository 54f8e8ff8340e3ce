import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { digest, SCANNED, statement } from '../../operator/build/evidence/examples.ts';
import { type BuildResult, build } from '../../operator/build/pipeline.ts';
import { parseLinuxKit } from '../../operator/linuxkit/parse.ts';
import { RegistryClient } from '../../operator/oci/client.ts';
import { IMAGE_LIMITS } from '../../operator/oci/limits.ts';
import { file } from '../images/entry.ts';
import { OciLayout } from '../images/oci-layout.ts';
import { pushImage } from '../images/oci-push.ts';
import { type WrittenImage, writeImage, writeIndex } from '../images/oci-writer.ts';
import { type RegistryService, startRegistry } from '../services/registry.ts';
import { ImagePublisher, moduleEntries } from './image-publisher.ts';

let folder: string;
let layout: OciLayout;
let registry: RegistryService;
let kernel: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'evidence-test-'));
  layout = new OciLayout(join(folder, 'layout'));
  registry = await startRegistry();
  kernel = await new ImagePublisher(layout, registry.host).publishKernel('kernel', moduleEntries('6.1.0'));
});

afterAll(async () => {
  await registry.stop();
  await rm(folder, { recursive: true });
});

/** What BuildKit pushes beside an image: a manifest, of an image or of an artifact, whose layers are statements about it. */
async function attestation(
  image: WrittenImage,
  statements: readonly Buffer[],
  configType = 'application/vnd.oci.image.config.v1+json',
): Promise<WrittenImage> {
  const layers = [];
  for (const bytes of statements) {
    layers.push({
      mediaType: 'application/vnd.in-toto+json',
      ...(await layout.write(Readable.from([bytes]))),
      annotations: { 'in-toto.io/predicate-type': 'https://spdx.dev/Document' },
    });
  }
  const config = await layout.writeJson(configType, {});
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = await layout.writeJson(mediaType, { schemaVersion: 2, mediaType, config, layers });
  const annotations = {
    'vnd.docker.reference.type': 'attestation-manifest',
    'vnd.docker.reference.digest': image.descriptor.digest,
  };
  const descriptor = { ...manifest, annotations, platform: { os: 'unknown', architecture: 'unknown' } };
  return { layout, descriptor, content: [...layers, config] };
}

async function publishAttested(
  name: string,
  statementsOf: (image: WrittenImage) => readonly Buffer[],
  configType?: string,
): Promise<string> {
  const image = await writeImage(layout, { layers: [{ entries: [file(`usr/bin/${name}`, name)] }] });
  const index = await writeIndex(layout, [image, await attestation(image, statementsOf(image), configType)]);
  await pushImage(index, { registry: registry.host, repository: name, tag: '1' });
  return `${registry.host}/${name}:1`;
}

async function run(yaml: string): Promise<{ result: BuildResult; sbom: string; provenance: string }> {
  await using images = new RegistryClient();
  const result = await build(
    {
      config: parseLinuxKit(yaml, { source: 'test.yml', allowSource: false }),
      architecture: 'amd64',
      compression: 'zstd',
      files: [],
    },
    {
      images,
      workFolder: await mkdtemp(join(folder, 'work-')),
      signal: AbortSignal.timeout(60_000),
      limits: IMAGE_LIMITS,
      report: () => undefined,
      now: () => new Date(),
      engine: 'test/1',
      findResult: async () => undefined,
    },
  );
  const { files } = result;
  if (files === undefined) throw new Error('nothing was built');
  return {
    result,
    sbom: await readFile(files['sbom.spdx.json'].path, 'utf8'),
    provenance: await readFile(files['provenance.json'].path, 'utf8'),
  };
}

describe('the evidence of a build', () => {
  it('tells of the packages that its inputs say they hold, the same in every build', async () => {
    const service = await publishAttested('service', ({ descriptor }) => [
      statement(descriptor.digest, SCANNED),
    ]);
    const yaml = `{kernel: {image: "${kernel}"}, services: [{name: service, image: "${service}", command: [x]}]}`;
    const { result, sbom, provenance } = await run(yaml);
    const document = JSON.parse(sbom) as { packages: { name: string }[]; documentNamespace: string };
    expect(document.packages.map(({ name }) => name)).toEqual([
      'linuxkit-amd64',
      'kernel',
      'initrd.img',
      'cmdline',
      `${registry.host}/kernel`,
      `${registry.host}/service`,
      'sbom',
      'busybox',
    ]);
    const { digest } = result.record.inputs.find(({ location }) => location === 'services[0]') ?? {};
    expect(provenance).toContain(digest?.slice(7));
    expect(result.record.files['sbom.spdx.json']).toEqual({
      size: Buffer.byteLength(sbom),
      sha256: result.files?.['sbom.spdx.json'].sha256,
    });

    const again = await run(yaml);
    expect(again.sbom).toBe(sbom);
    expect(again.provenance).toBe(provenance);
  });

  it('reads attestations that are artifacts and not images', async () => {
    const init = await publishAttested(
      'modern',
      ({ descriptor }) => [statement(descriptor.digest, SCANNED)],
      'application/vnd.oci.empty.v1+json',
    );
    const { sbom } = await run(`{kernel: {image: "${kernel}"}, init: ["${init}"]}`);
    expect(sbom).toContain('busybox');
  });

  it('says what is wrong with an SBOM that cannot be used, and the build goes on', async () => {
    const service = await publishAttested('liar', () => [
      statement(digest('another'), SCANNED),
      Buffer.from('not JSON'),
    ]);
    const yaml = `{kernel: {image: "${kernel}"}, services: [{name: liar, image: "${service}", command: [x]}]}`;
    const { sbom } = await run(yaml);
    expect(sbom).toContain('is not merged: it is about another image.');
    expect(sbom).toContain('is not merged: it is not JSON.');
    expect(sbom).not.toContain('busybox');
  });

  it('says of an attestation that was not copied along with its image that it is not there', async () => {
    const image = await writeImage(layout, { layers: [{ entries: [file('a', 'lonely')] }] });
    const lost = await attestation(image, [statement(image.descriptor.digest, SCANNED)]);
    const index = await writeIndex(layout, [image, lost]);
    // A registry of the strict kind takes no index that names what it lacks: it is removed again.
    await pushImage(index, { registry: registry.host, repository: 'lonely', tag: '1' });
    const url = `http://${registry.host}/v2/lonely/manifests/${lost.descriptor.digest}`;
    expect((await fetch(url, { method: 'DELETE' })).status).toBe(202);
    const yaml = `{kernel: {image: "${kernel}"}, init: ["${registry.host}/lonely:1"]}`;
    const { sbom } = await run(yaml);
    expect(sbom).toContain(`Its attestation ${lost.descriptor.digest} cannot be used (ImageNotFound).`);
  });
});
