import type { IncomingMessage } from 'node:http';
import { createServer, type Server } from 'node:https';
import { messageOf } from '../../operator/errors.ts';
import { answerReview, type ReviewContext, type ReviewRequest } from './admission/review.ts';
import { answerAggregated, type HttpAnswer } from './aggregated-api.ts';

const BODY_LIMIT = 4 * 1024 * 1024;
const DEADLINE_MS = 9_000;

/** Answers admission reviews and the aggregated API: the part of virt-api. */
export function createWebhookServer(
  tls: { readonly cert: string; readonly key: string },
  context: ReviewContext,
): Server {
  return createServer(tls, (request, response) => {
    void answer(request, context).then(({ status, body }) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(body === undefined ? '' : JSON.stringify(body));
    });
  });
}

async function answer(request: IncomingMessage, context: ReviewContext): Promise<HttpAnswer> {
  const signal = AbortSignal.any([context.signal, AbortSignal.timeout(DEADLINE_MS)]);
  const { client } = context;
  try {
    const { pathname } = new URL(request.url ?? '/', 'https://localhost');
    const method = request.method ?? 'GET';
    const body = await read(request);
    const aggregated = await answerAggregated(method, pathname, body, client, signal);
    if (aggregated !== undefined) return aggregated;
    if (method !== 'POST') return { status: 404 };
    const review = JSON.parse(body) as { request: ReviewRequest };
    const reviewed = await answerReview(pathname, review.request, { ...context, signal });
    if (reviewed === undefined) return { status: 404 };
    return {
      status: 200,
      body: { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: reviewed },
    };
  } catch (error) {
    const message = messageOf(error);
    return { status: 500, body: { apiVersion: 'v1', kind: 'Status', status: 'Failure', code: 500, message } };
  }
}

async function read(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > BODY_LIMIT) throw new RangeError(`the body is larger than ${BODY_LIMIT} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
