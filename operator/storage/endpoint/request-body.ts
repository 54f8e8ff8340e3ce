import type { IncomingMessage } from 'node:http';
import type { z } from 'zod';
import { EndpointError } from './endpoint-error.ts';
import { MAX_REQUEST_BYTES } from './protocol.ts';

/** Reads and checks a request's JSON. Throws {@link EndpointError} `TooLarge` or `Invalid`, with the path of the fault. */
export async function readRequest<T>(request: IncomingMessage, schema: z.ZodType<T>): Promise<T> {
  const length = Number(request.headers['content-length'] ?? 0);
  if (length > MAX_REQUEST_BYTES) throw tooLarge();
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_REQUEST_BYTES) throw tooLarge();
    chunks.push(chunk);
  }
  let value: unknown;
  try {
    value = JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    throw new EndpointError('Invalid', 'the request is not JSON');
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new EndpointError('Invalid', `${issue?.path.join('.') || 'the request'}: ${issue?.message}`);
}

function tooLarge(): EndpointError {
  return new EndpointError('TooLarge', `the request has more than ${MAX_REQUEST_BYTES} bytes`);
}
