import type { LinuxKitImage } from '../../api/image.ts';
import { MANAGER_IMAGE } from '../../api/names.ts';
import type { RegistrySettings } from '../../build/request.ts';
import type { ApiClient } from '../../runtime/api-client.ts';
import { type ApiError, isAlreadyExists, isConflict, isRefused } from '../../runtime/api-error.ts';
import { WaitingError } from '../../runtime/controller.ts';
import { controllerOf, controllerReference, type ObjectKey, type Stored } from '../../runtime/objects.ts';
import { CONFIG_MAPS, JOBS } from '../../runtime/resources.ts';
import { buildRequest, type Endpoint, requestConfigMap } from './build-request.ts';
import type { Action } from './decide.ts';
import { type Attempt, type BuilderSettings, buildJob } from './job.ts';
import { IMAGES, type ImageObject } from './objects.ts';

export interface ApplySettings {
  readonly builder: BuilderSettings;
  readonly registries: RegistrySettings;
  /** Asked for at each build: the authority may have been renewed. */
  readonly endpoint: () => Endpoint;
  /** What a build goes on with, for `TRACEPARENT` of its pod. Nothing that is built depends on it. */
  readonly traceparent?: string | undefined;
}

/** The API server does not take the build Job, or its ConfigMap: quota, admission, rights, size. */
export class JobRefusedError extends Error {
  readonly refusal: ApiError;

  constructor(refusal: ApiError) {
    super(refusal.message);
    this.refusal = refusal;
  }
}

/** A Job of that name is there and is not ours. */
export class NameTakenError extends Error {}

/** Carries out an action. True when it was this call that changed something. */
export async function applyAction(
  client: ApiClient,
  object: Stored<ImageObject>,
  image: LinuxKitImage,
  rawConfig: unknown,
  action: Action,
  settings: ApplySettings,
  signal: AbortSignal,
): Promise<boolean> {
  const { namespace } = image.metadata;
  switch (action.kind) {
    case 'startBuild':
      return await startBuild(client, object, image, rawConfig, action.attempt, settings, signal);
    case 'deleteJob':
      return await removed(
        client.delete(
          JOBS,
          { namespace, name: action.name },
          {
            signal,
            propagation: 'Background',
            preconditions: { uid: action.uid },
          },
        ),
      );
    case 'deleteRequest':
      return await removed(
        client.delete(
          CONFIG_MAPS,
          { namespace, name: action.name },
          { signal, preconditions: { uid: action.uid } },
        ),
      );
  }
}

/** Another object under that name by now is none of our business. */
async function removed(deletion: Promise<boolean>): Promise<boolean> {
  try {
    return await deletion;
  } catch (error) {
    if (isConflict(error)) return false;
    throw error;
  }
}

async function startBuild(
  client: ApiClient,
  object: Stored<ImageObject>,
  image: LinuxKitImage,
  rawConfig: unknown,
  attempt: Attempt,
  settings: ApplySettings,
  signal: AbortSignal,
): Promise<boolean> {
  const { namespace, name } = image.metadata;
  // Builds are dear and caches may be old: this one question keeps a manager that fell asleep from
  // building what another has built, or what nobody wants by now.
  const live = await client.findMetadata(IMAGES, { namespace, name }, { signal });
  if (live?.metadata.resourceVersion !== object.metadata.resourceVersion) {
    throw new WaitingError('StaleCache', 'the image has changed since it was read', 200);
  }
  const owner = controllerReference(object);
  const request = buildRequest(image, rawConfig, {
    endpoint: settings.endpoint(),
    registries: settings.registries,
  });
  try {
    await client.apply(CONFIG_MAPS, requestConfigMap(request, { ...attempt, owner }), {
      signal,
      fieldManager: MANAGER_IMAGE,
    });
    await client.create(JOBS, buildJob(image, attempt, owner, settings.builder, settings.traceparent), {
      signal,
      fieldManager: MANAGER_IMAGE,
    });
    return true;
  } catch (error) {
    if (isAlreadyExists(error))
      return await existing(client, object, { namespace, name: attempt.name }, signal);
    if (isRefused(error)) throw new JobRefusedError(error);
    throw error;
  }
}

/** Ours from a moment ago, which the cache has not seen: fine. The next look finds it, and of which attempt it is. */
async function existing(
  client: ApiClient,
  object: Stored<ImageObject>,
  key: ObjectKey,
  signal: AbortSignal,
): Promise<boolean> {
  const job = await client.findMetadata(JOBS, key, { signal });
  if (job !== undefined && controllerOf(job)?.uid !== object.metadata.uid) throw new NameTakenError(key.name);
  return false;
}
