import { readFileSync } from 'node:fs';
import * as z from 'zod';

/** How to reach the bucket. */
export interface S3Options {
  /** `https://host[:port]`; absent for AWS itself, whose address follows from the region. */
  readonly endpoint?: string;
  readonly region: string;
  readonly bucket: string;
  /** `https://host/bucket/key` rather than `https://bucket.host/key`. */
  readonly forcePathStyle: boolean;
  /** Absent: the SDK's default chain (environment, files, web identity, instance metadata). */
  readonly credentials?: {
    readonly accessKeyId: string;
    readonly secretAccessKey: string;
    readonly sessionToken?: string;
  };
  /** Certificate authorities to trust besides the system's, PEM. */
  readonly caBundle?: string;
}

const environment = z
  .object({
    LINUXKIT_S3_ENDPOINT: z.url({ protocol: /^https?$/ }).optional(),
    LINUXKIT_S3_REGION: z.string().min(1).default('us-east-1'),
    LINUXKIT_S3_BUCKET: z
      .string({ error: 'must name the bucket' })
      .regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/),
    LINUXKIT_S3_FORCE_PATH_STYLE: z.enum(['true', 'false']).optional(),
    LINUXKIT_S3_ACCESS_KEY_ID: z.string().min(1).optional(),
    LINUXKIT_S3_SECRET_ACCESS_KEY: z.string().min(1).optional(),
    LINUXKIT_S3_SESSION_TOKEN: z.string().min(1).optional(),
    LINUXKIT_S3_CA_FILE: z.string().min(1).optional(),
  })
  .refine(
    (env) =>
      (env.LINUXKIT_S3_ACCESS_KEY_ID === undefined) === (env.LINUXKIT_S3_SECRET_ACCESS_KEY === undefined),
    {
      path: ['LINUXKIT_S3_ACCESS_KEY_ID'],
      error: 'needs LINUXKIT_S3_SECRET_ACCESS_KEY, and the other way round',
    },
  );

/**
 * The options that the environment gives, read once at start:
 *
 * | variable | meaning |
 * | --- | --- |
 * | `LINUXKIT_S3_ENDPOINT` | `http(s)://host[:port]`; unset for AWS |
 * | `LINUXKIT_S3_REGION` | default `us-east-1` |
 * | `LINUXKIT_S3_BUCKET` | required |
 * | `LINUXKIT_S3_FORCE_PATH_STYLE` | `true` or `false`; default `true` exactly if an endpoint is set |
 * | `LINUXKIT_S3_ACCESS_KEY_ID`, `LINUXKIT_S3_SECRET_ACCESS_KEY`, `LINUXKIT_S3_SESSION_TOKEN` | unset for the default chain |
 * | `LINUXKIT_S3_CA_FILE` | PEM file of authorities to trust besides the system's |
 *
 * An empty variable counts as unset, since a chart cannot leave one out easily. Throws an Error that
 * names every wrong variable and no value.
 */
export function s3OptionsFromEnvironment(
  env: Readonly<Record<string, string | undefined>>,
  readText: (path: string) => string = (path) => readFileSync(path, 'utf8'),
): S3Options {
  const given = Object.fromEntries(
    Object.entries(env).filter(([, value]) => value !== undefined && value !== ''),
  );
  const parsed = environment.safeParse(given);
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
    throw new Error(`object storage is not configured: ${problems.join('; ')}`);
  }
  const values = parsed.data;
  const endpoint = values.LINUXKIT_S3_ENDPOINT;
  const accessKeyId = values.LINUXKIT_S3_ACCESS_KEY_ID;
  const secretAccessKey = values.LINUXKIT_S3_SECRET_ACCESS_KEY;
  const sessionToken = values.LINUXKIT_S3_SESSION_TOKEN;
  const forcePathStyle = values.LINUXKIT_S3_FORCE_PATH_STYLE;
  return {
    region: values.LINUXKIT_S3_REGION,
    bucket: values.LINUXKIT_S3_BUCKET,
    forcePathStyle: forcePathStyle === undefined ? endpoint !== undefined : forcePathStyle === 'true',
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(accessKeyId === undefined || secretAccessKey === undefined
      ? {}
      : {
          credentials: {
            accessKeyId,
            secretAccessKey,
            ...(sessionToken === undefined ? {} : { sessionToken }),
          },
        }),
    ...(values.LINUXKIT_S3_CA_FILE === undefined ? {} : { caBundle: readText(values.LINUXKIT_S3_CA_FILE) }),
  };
}
