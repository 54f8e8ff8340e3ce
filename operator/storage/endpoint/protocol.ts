import * as z from 'zod';

/**
 * What build pods and the artifact endpoint say to each other: JSON over HTTPS, `Authorization:
 * Bearer <projected token>`. Keys are relative to the pod's namespace.
 *
 *     POST /v1/objects/announce   the objects that the pod is about to store
 *     POST /v1/objects/lookup     the objects that the pod wants to read
 *
 * Either all objects of a request are answered for, or none, with an error and its reason.
 */
export const ANNOUNCE_PATH = '/v1/objects/announce';
export const LOOKUP_PATH = '/v1/objects/lookup';

/** Bytes of a request; of an answer, whose URLs are long. */
export const MAX_REQUEST_BYTES = 128 * 1024;
export const MAX_ANSWER_BYTES = 1024 * 1024;
/** Objects of one request, so that no answer can be longer than that. */
export const MAX_OBJECTS = 100;

const key = z.string().min(1).max(1024);
const size = z.int().nonnegative();
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const url = z.url({ protocol: /^https?$/ }).max(8192);

export const announceRequest = z.strictObject({
  objects: z.array(z.strictObject({ key, size, sha256 })).min(1).max(MAX_OBJECTS),
});
export type AnnounceRequest = z.infer<typeof announceRequest>;
export type AnnouncedObject = AnnounceRequest['objects'][number];

/** In the order of the request. `present`: these very bytes are stored already. */
export const announceAnswer = z.object({
  objects: z.array(
    z.discriminatedUnion('state', [
      z.object({ state: z.literal('present'), key }),
      z.object({
        state: z.literal('upload'),
        key,
        method: z.literal('PUT'),
        url,
        headers: z.record(z.string().max(128), z.string().max(1024)),
      }),
    ]),
  ),
});
export type AnnounceAnswer = z.infer<typeof announceAnswer>;

export const lookupRequest = z.strictObject({ keys: z.array(key).min(1).max(MAX_OBJECTS) });
export type LookupRequest = z.infer<typeof lookupRequest>;

/** In the order of the request. `sha256` is missing where the store kept none. */
export const lookupAnswer = z.object({
  objects: z.array(
    z.discriminatedUnion('state', [
      z.object({ state: z.literal('absent'), key }),
      z.object({ state: z.literal('present'), key, size, sha256: sha256.optional(), url }),
    ]),
  ),
});
export type LookupAnswer = z.infer<typeof lookupAnswer>;

export const ENDPOINT_ERRORS = {
  /** The request is not what this protocol says. */
  Invalid: 400,
  /** No token, or one that is not of a running build pod. */
  Unauthenticated: 401,
  /** A key that this pod has no business with. */
  Forbidden: 403,
  NotFound: 404,
  /** Other bytes are stored under the key. */
  Conflict: 409,
  /** `build.json` was announced before the files it speaks of were stored. */
  Incomplete: 409,
  TooLarge: 413,
  /** The namespace asks for more than its share; `Retry-After` says when to try again. */
  Throttled: 429,
  InternalError: 500,
  /** Object storage or the Kubernetes API does not answer. */
  Unavailable: 503,
} as const;
export type EndpointErrorCode = keyof typeof ENDPOINT_ERRORS;

const codes = Object.keys(ENDPOINT_ERRORS) as [EndpointErrorCode, ...EndpointErrorCode[]];
export const errorAnswer = z.object({
  error: z.object({ code: z.enum(codes), message: z.string().max(4096) }),
});
export type ErrorAnswer = z.infer<typeof errorAnswer>;
