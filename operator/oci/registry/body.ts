import { limitExceeded } from '../errors.ts';

/** Reads a body whole if it is no longer than the named limit allows. */
export async function readBody(
  body: AsyncIterable<Uint8Array>,
  limit: { readonly name: string; readonly bytes: number },
  where: string,
): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of body) {
    length += part.length;
    if (length > limit.bytes) throw limitExceeded(limit.name, limit.bytes, where);
    parts.push(part);
  }
  return Buffer.concat(parts, length);
}
