import type { LinuxKitImage } from '../../api/image.ts';
import { LABEL_BUILD, LABEL_IMAGE } from '../../api/names.ts';
import type { Verification } from '../../api/verification.ts';
import type { BuildRequest, RegistrySettings, VerificationRequest } from '../../build/request.ts';
import type { OwnerReference } from '../../runtime/objects.ts';
import type { ConfigMap } from '../../runtime/resources.ts';

/** Where the artifact endpoint is, and by which authority its certificate is checked (PEM). */
export interface Endpoint {
  readonly url: string;
  readonly caBundle: string;
}

/** The key in the request ConfigMap. */
export const REQUEST_KEY = 'request.json';

/** What the build pod is told: a pure function of the spec and the operator's settings. Holds no secret. */
export function buildRequest(
  image: LinuxKitImage,
  rawConfig: unknown,
  settings: { readonly endpoint: Endpoint; readonly registries: RegistrySettings },
): BuildRequest {
  const { spec, metadata } = image;
  const source = spec.configFrom?.configMapKeyRef ?? spec.configFrom?.secretKeyRef;
  return {
    schema: 'linuxkit.dev/build-request/v1',
    namespace: metadata.namespace,
    image: metadata.name,
    architecture: spec.architecture,
    compression: spec.compression,
    config: source === undefined ? { inline: rawConfig } : { file: source.key },
    files: (spec.files ?? []).map((file, index) => ({
      path: file.path,
      ...(file.mode === undefined ? {} : { mode: file.mode }),
      file: `${index}/${(file.contentsFrom.configMapKeyRef ?? file.contentsFrom.secretKeyRef)?.key ?? ''}`,
    })),
    pullSecrets: (spec.imagePullSecrets ?? []).map((secret) => secret.name),
    ...(spec.bootImage === undefined ? {} : { bootImage: bootImageRequest(spec.bootImage) }),
    endpoint: settings.endpoint,
    ...(spec.verification === undefined ? {} : { verification: verificationRequest(spec.verification) }),
    ...settings.registries,
  };
}

function bootImageRequest({
  repository,
  pushSecretName,
}: NonNullable<LinuxKitImage['spec']['bootImage']>): NonNullable<BuildRequest['bootImage']> {
  return { repository, ...(pushSecretName === undefined ? {} : { pushSecret: pushSecretName }) };
}

function verificationRequest(verification: Verification): VerificationRequest {
  const { publicKeys = [], identities = [], trustedRoot } = verification;
  return {
    publicKeys: publicKeys.map(({ pem, configMapKeyRef }, index) =>
      configMapKeyRef === undefined
        ? { pem: pem ?? '' }
        : { file: publicKeyPath(index, configMapKeyRef.key) },
    ),
    identities: identities.map((identity) =>
      Object.fromEntries(Object.entries(identity).filter(([, claim]) => claim !== undefined)),
    ),
    ...(trustedRoot === undefined ? {} : { trustedRoot: trustedRootPath(trustedRoot.configMapKeyRef.key) }),
  };
}

/** Below `BUILD_PATHS.verification`: of the key at an index, and of the trusted root. */
export function publicKeyPath(index: number, key: string): string {
  return `keys/${index}/${key}`;
}

export function trustedRootPath(key: string): string {
  return `trusted-root/${key}`;
}

/** The ConfigMap that carries the request. It belongs to the image, so that it is there before the pod is. */
export function requestConfigMap(
  request: BuildRequest,
  build: { readonly name: string; readonly hash: string; readonly owner: OwnerReference },
): ConfigMap {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name: build.name,
      namespace: request.namespace,
      labels: buildLabels(request.image, build.hash),
      ownerReferences: [build.owner],
    },
    data: { [REQUEST_KEY]: JSON.stringify(request) },
  };
}

/** On the Job, its pods and its ConfigMap. */
export function buildLabels(image: string, hash: string): Readonly<Record<string, string>> {
  return {
    'app.kubernetes.io/name': 'linuxkit-build',
    'app.kubernetes.io/managed-by': 'linuxkit-operator',
    [LABEL_IMAGE]: image,
    [LABEL_BUILD]: hash.slice(0, 16),
  };
}
