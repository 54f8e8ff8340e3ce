import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CertificateAuthority } from '../cluster/certificates.ts';
import {
  kubeVirtCrds,
  STAND_IN_NAME,
  STAND_IN_NAMESPACE,
  type StandInImages,
  type StandInTls,
  standInManifests,
  WEBHOOK_HOST,
} from '../kubevirt/manifests.ts';
import { waitFor } from '../process/wait.ts';
import type { Kubectl } from './kubectl.ts';

const IN_NAMESPACE = `--namespace=${STAND_IN_NAMESPACE}`;
const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';

/** Installs KubeVirt's CRDs and the stand-in, and waits until it answers. */
export async function deployStandIn(
  kubectl: Kubectl,
  images: StandInImages,
  signal: AbortSignal,
): Promise<void> {
  const { documents, names } = await kubeVirtCrds();
  await kubectl.apply(documents, signal);
  await waitFor("KubeVirt's CRDs to be served", async () => await established(kubectl, names, signal), {
    signal,
    timeout: 60_000,
  });
  const tls = (await presentCertificate(kubectl, signal)) ?? (await newCertificate(signal));
  await kubectl.apply(standInManifests(images, tls), signal);
  const deployment = `deployment/${STAND_IN_NAME}`;
  await kubectl.run([IN_NAMESPACE, 'rollout', 'status', deployment, '--timeout=120s'], signal);
  const api = 'apiservice/v1.subresources.kubevirt.io';
  await kubectl.run(['wait', '--for=condition=Available', api, '--timeout=60s'], signal);
}

/**
 * The image that `REGISTRY/REPOSITORY:TAG` leads to now, by its digest: a node that has an older image under
 * the same tag must not run that. The registry speaks plain HTTP.
 */
export async function pinnedImage(reference: string, signal: AbortSignal): Promise<string> {
  const [, registry, repository, tag] = /^([^/]+)\/(.+):([^:/]+)$/.exec(reference) ?? [];
  if (registry === undefined || repository === undefined || tag === undefined)
    throw new Error(`${reference} is not REGISTRY/REPOSITORY:TAG`);
  const response = await fetch(`http://${registry}/v2/${repository}/manifests/${tag}`, {
    method: 'HEAD',
    headers: { accept: MANIFEST_TYPE },
    signal,
  });
  const digest = response.headers.get('docker-content-digest');
  if (!response.ok || digest === null)
    throw new Error(`the registry does not tell the digest of ${reference}: HTTP ${response.status}`);
  return `${registry}/${repository}@${digest}`;
}

/** That of the stand-in that runs: another one would make it start again for nothing. */
async function presentCertificate(kubectl: Kubectl, signal: AbortSignal): Promise<StandInTls | undefined> {
  const text = await kubectl.run(
    [IN_NAMESPACE, 'get', 'secret', STAND_IN_NAME, '--ignore-not-found', '-o', 'json'],
    signal,
  );
  if (text.trim() === '') return undefined;
  const { data = {} } = JSON.parse(text) as { data?: Record<string, string> };
  const [certificate, key, authority] = ['TLS_CERT', 'TLS_KEY', 'TLS_AUTHORITY'].map((name) =>
    data[name] === undefined ? undefined : Buffer.from(data[name], 'base64').toString(),
  );
  if (certificate === undefined || key === undefined || authority === undefined) return undefined;
  return { certificate, key, authority };
}

async function newCertificate(signal: AbortSignal): Promise<StandInTls> {
  const folder = await mkdtemp(join(tmpdir(), 'kubevirt-stand-in-'));
  try {
    const authority = await CertificateAuthority.create(folder, STAND_IN_NAME, signal);
    const files = await authority.issue(
      { file: 'webhook', commonName: WEBHOOK_HOST, names: [`DNS:${WEBHOOK_HOST}`], usages: ['serverAuth'] },
      signal,
    );
    return {
      certificate: await readFile(files.certificate, 'utf8'),
      key: await readFile(files.key, 'utf8'),
      authority: await readFile(authority.files.certificate, 'utf8'),
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** `kubectl wait` fails on a CRD that has no conditions at all yet, so they are read here. */
async function established(
  kubectl: Kubectl,
  names: readonly string[],
  signal: AbortSignal,
): Promise<boolean> {
  const path = '{.items[*].status.conditions[?(@.type=="Established")].status}';
  const told = await kubectl.run(['get', 'crd', ...names, '-o', `jsonpath=${path}`], signal);
  return told.split(' ').filter((status) => status === 'True').length === names.length;
}
