import * as z from 'zod';
import { keyReference } from './key-reference.ts';
import type { Immutable } from './object.ts';
import { ATOMIC_LIST, exactlyOne, exactlyOneCel, withRules } from './rules.ts';

/** Whose signatures count for the images that `trust` of the configuration names. */

const publicKey = withRules(
  z.object({
    pem: z
      .string()
      .max(16_384)
      .regex(/-----BEGIN PUBLIC KEY-----/)
      .optional()
      .describe('The key itself, as `cosign generate-key-pair` writes it to cosign.pub.'),
    configMapKeyRef: keyReference('ConfigMap').optional().describe('A key of a ConfigMap that holds it.'),
  }),
  [
    {
      cel: exactlyOneCel('pem', 'configMapKeyRef'),
      message: 'exactly one of pem and configMapKeyRef must be given',
      holds: exactlyOne('pem', 'configMapKeyRef'),
    },
  ],
);

/** An issuer, a subject, or a regular expression for one of them. */
const claim = (description: string) => z.string().min(1).max(1024).optional().describe(description);

const identity = withRules(
  z.object({
    issuer: claim('The OpenID Connect issuer that vouched for the signer, exactly.'),
    issuerPattern: claim('Instead of issuer: a regular expression that must match all of it.'),
    subject: claim('The signer, exactly: an e-mail address or a URI.'),
    subjectPattern: claim('Instead of subject: a regular expression that must match all of it.'),
  }),
  [
    {
      cel: exactlyOneCel('issuer', 'issuerPattern'),
      message: 'exactly one of issuer and issuerPattern must be given',
      holds: exactlyOne('issuer', 'issuerPattern'),
    },
    {
      cel: exactlyOneCel('subject', 'subjectPattern'),
      message: 'exactly one of subject and subjectPattern must be given',
      holds: exactlyOne('subject', 'subjectPattern'),
    },
  ],
);

const trustedRoot = z.object({
  configMapKeyRef: keyReference('ConfigMap').describe(
    'A key of a ConfigMap that holds trusted_root.json of the sigstore deployment.',
  ),
});

export const verification = withRules(
  z.object({
    publicKeys: z
      .array(publicKey)
      .min(1)
      .max(16)
      .optional()
      .describe('Keys with which images are signed. A signature by one of them is enough.')
      .meta(ATOMIC_LIST),
    identities: z
      .array(identity)
      .min(1)
      .max(16)
      .optional()
      .describe('Who may have signed without a key. A signature by one of them is enough.')
      .meta(ATOMIC_LIST),
    trustedRoot: trustedRoot
      .optional()
      .describe('The certificate authorities and logs by which identities are proved.'),
  }),
  [
    {
      cel: 'has(self.publicKeys) || has(self.identities)',
      message: 'publicKeys or identities must be given: without them no signature could be enough',
      holds: ({ publicKeys, identities }) => publicKeys !== undefined || identities !== undefined,
    },
    {
      cel: '!has(self.identities) || has(self.trustedRoot)',
      message: 'identities need trustedRoot, by which they are proved',
      holds: ({ identities, trustedRoot: root }) => identities === undefined || root !== undefined,
    },
  ],
);

export type Verification = Immutable<z.infer<typeof verification>>;
