import { randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:https';
import { refusals } from './admission.ts';
import { defaultsPatch } from './defaults.ts';
import type { VirtualMachine } from './types.ts';

interface AdmissionReview {
  readonly request: {
    readonly uid: string;
    readonly operation: string;
    readonly object: VirtualMachine | null;
  };
}

const BODY_LIMIT = 4 * 1024 * 1024;

/** Answers admission.k8s.io/v1 reviews of VirtualMachines: `/mutate` and `/validate`. */
export function createWebhookServer(tls: { readonly cert: string; readonly key: string }): Server {
  return createServer(tls, (request, response) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > BODY_LIMIT) request.destroy();
      else chunks.push(chunk);
    });
    request.on('end', () => {
      try {
        const review = JSON.parse(Buffer.concat(chunks).toString()) as AdmissionReview;
        response.setHeader('content-type', 'application/json');
        response.end(
          JSON.stringify({
            apiVersion: 'admission.k8s.io/v1',
            kind: 'AdmissionReview',
            response: answer(request.url ?? '', review),
          }),
        );
      } catch (error) {
        response.statusCode = 400;
        response.end(String(error));
      }
    });
  });
}

function answer(url: string, { request }: AdmissionReview): object {
  const { uid, object } = request;
  if (object === null) return { uid, allowed: true };
  if (url.startsWith('/mutate')) {
    const patch = defaultsPatch(object, randomUUID);
    return {
      uid,
      allowed: true,
      patchType: 'JSONPatch',
      patch: Buffer.from(JSON.stringify(patch)).toString('base64'),
    };
  }
  const causes = refusals(object);
  if (causes.length === 0) return { uid, allowed: true };
  return {
    uid,
    allowed: false,
    status: {
      code: 422,
      reason: 'Invalid',
      message: causes.map((cause) => cause.message).join(', '),
      details: { causes: causes.map((cause) => ({ reason: 'FieldValueInvalid', ...cause })) },
    },
  };
}
