import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CertificateAuthority } from '../cluster/certificates.ts';
import {
  kubeVirtCrds,
  STAND_IN_NAMESPACE,
  type StandInImages,
  standInManifests,
  WEBHOOK_HOST,
} from '../kubevirt/manifests.ts';
import { waitFor } from '../process/wait.ts';
import type { Kubectl } from './kubectl.ts';

/** Installs KubeVirt's CRDs and the stand-in, and waits until it answers. */
export async function deployStandIn(
  kubectl: Kubectl,
  images: StandInImages,
  signal: AbortSignal,
): Promise<void> {
  const crds = await kubeVirtCrds();
  await kubectl.apply(crds.documents, signal);
  await waitFor("KubeVirt's CRDs to be served", async () => await established(kubectl, signal), {
    signal,
    timeout: 60_000,
  });

  const folder = await mkdtemp(join(tmpdir(), 'kubevirt-stand-in-'));
  try {
    const authority = await CertificateAuthority.create(folder, 'kubevirt-stand-in', signal);
    const files = await authority.issue(
      { file: 'webhook', commonName: WEBHOOK_HOST, names: [`DNS:${WEBHOOK_HOST}`], usages: ['serverAuth'] },
      signal,
    );
    const [certificate, key, ca] = await Promise.all(
      [files.certificate, files.key, authority.files.certificate].map(
        async (file) => await readFile(file, 'utf8'),
      ),
    );
    if (certificate === undefined || key === undefined || ca === undefined)
      throw new Error('openssl left no certificate');
    await kubectl.apply(standInManifests(images, { certificate, key, authority: ca }), signal);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  await kubectl.run(
    [
      `--namespace=${STAND_IN_NAMESPACE}`,
      'rollout',
      'status',
      'deployment/kubevirt-stand-in',
      '--timeout=120s',
    ],
    signal,
  );
}

/** `kubectl wait` fails on a CRD that has no conditions at all yet, so they are read here. */
async function established(kubectl: Kubectl, signal: AbortSignal): Promise<boolean> {
  const path = '{.items[*].status.conditions[?(@.type=="Established")].status}';
  const names = ['virtualmachines.kubevirt.io', 'virtualmachineinstances.kubevirt.io'];
  return (await kubectl.run(['get', 'crd', ...names, '-o', `jsonpath=${path}`], signal)) === 'True True';
}
