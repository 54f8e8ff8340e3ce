import * as z from 'zod';
import { exactlyOne, exactlyOneCel, withRules } from './rules.ts';

const portNumber = z.int32().min(1).max(65_535);

/**
 * A probe of the guest through the pod network. KubeVirt has two more, exec and guestAgentPing;
 * both need a guest agent, which LinuxKit has none of, and could never succeed.
 */
export const probe = withRules(
  z.object({
    tcpSocket: z
      .object({ port: portNumber.describe('The port in the guest.') })
      .optional()
      .describe('Succeeds when the port accepts a connection.'),
    httpGet: z
      .object({
        path: z
          .string()
          .max(1024)
          .regex(/^\/[\x21-\x7e]*$/)
          .default('/')
          .describe('The path that is asked for.'),
        port: portNumber.describe('The port in the guest.'),
        scheme: z
          .enum(['HTTP', 'HTTPS'])
          .default('HTTP')
          .describe('The scheme. Certificates are not checked.'),
      })
      .optional()
      .describe('Succeeds when the answer has a status from 200 to 399.'),
    initialDelaySeconds: z
      .int32()
      .min(0)
      .max(3600)
      .default(0)
      .describe('Seconds from the start to the first try.'),
    periodSeconds: z.int32().min(1).max(3600).default(10).describe('Seconds between tries.'),
    timeoutSeconds: z.int32().min(1).max(600).default(1).describe('Seconds after which a try has failed.'),
    successThreshold: z.int32().min(1).max(100).default(1).describe('Successes in a row that it takes.'),
    failureThreshold: z.int32().min(1).max(100).default(3).describe('Failures in a row that it takes.'),
  }),
  [
    {
      cel: exactlyOneCel('tcpSocket', 'httpGet'),
      message: 'exactly one of tcpSocket and httpGet must be given',
      holds: exactlyOne('tcpSocket', 'httpGet'),
    },
  ],
);
