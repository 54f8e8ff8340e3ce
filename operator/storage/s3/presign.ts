import { GetObjectCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { checkedKey } from '../key.ts';
import { base64OfHex } from './checksum.ts';

/** How long a URL may wait to be used: a build asks for one when it is about to use it. */
const URL_SECONDS = 600;

/** A URL that stores exactly one object, and the headers that have to be sent with it. */
export interface PresignedUpload {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** Gives out URLs that carry their own permission for a short time. */
export interface Presigner {
  upload(key: string, object: { readonly size: number; readonly sha256: string }): Promise<PresignedUpload>;
  download(key: string): Promise<string>;
}

/**
 * Presigns with Signature Version 4 ("Authenticating requests: using query parameters").
 *
 * An upload is bound to its size, its SHA-256 and to the key being free, by signing those headers:
 * the holder of the URL can store the announced bytes once, or nothing. `seconds`, ten minutes
 * by default, is how long a transfer may wait before it starts; one that has started may take longer.
 */
export class S3Presigner implements Presigner {
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #seconds: number;

  constructor(client: S3Client, bucket: string, options: { readonly seconds?: number } = {}) {
    this.#client = client;
    this.#bucket = bucket;
    this.#seconds = options.seconds ?? URL_SECONDS;
  }

  async upload(
    key: string,
    object: { readonly size: number; readonly sha256: string },
  ): Promise<PresignedUpload> {
    const headers = {
      'content-length': String(object.size),
      'if-none-match': '*',
      'x-amz-checksum-sha256': base64OfHex(object.sha256),
    };
    const command = new PutObjectCommand({
      Bucket: this.#bucket,
      Key: checkedKey(key),
      ContentLength: object.size,
      ChecksumSHA256: headers['x-amz-checksum-sha256'],
      IfNoneMatch: headers['if-none-match'],
    });
    const url = await getSignedUrl(this.#client, command, {
      expiresIn: this.#seconds,
      // A checksum moved into the query is not enforced by every store; as a signed header it is.
      unhoistableHeaders: new Set(['x-amz-checksum-sha256']),
    });
    const signed = new Set(new URL(url).searchParams.get('X-Amz-SignedHeaders')?.split(';'));
    const missing = Object.keys(headers).filter((name) => !signed.has(name));
    // Without these the URL would be a licence to store anything: better none than that.
    if (missing.length > 0)
      throw new Error(`the presigned URL for ${key} does not bind ${missing.join(', ')}`);
    return { url, headers };
  }

  async download(key: string): Promise<string> {
    const command = new GetObjectCommand({ Bucket: this.#bucket, Key: checkedKey(key) });
    return getSignedUrl(this.#client, command, { expiresIn: this.#seconds });
  }
}
