import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TestSigstore } from '../../operator/oci/signatures/test-sigstore.ts';
import { run } from '../process/run.ts';
import { type Reporter, silentReporter } from '../progress/reporter.ts';
import { ensureTools } from '../tools/tools.ts';

/** How cosign stores a signature: by tag, as its second version did, or as a bundle that refers to the image. */
export type SignatureForm = 'simple' | 'bundle';

export const ISSUER = 'https://issuer.example';
export const SUBJECT = 'https://ci.example/team/build.yaml';

/** cosign is compiled when it is asked for for the first time, in milliseconds. */
export const COSIGN_DEADLINE = 3_600_000;

/** Flags by which cosign 3 signs as cosign 2 did. */
const OLD_FORM = ['--use-signing-config=false', '--new-bundle-format=false'];

/**
 * Signs images with the real cosign: with a key of its own, or as an identity that a sigstore of its own
 * certifies. Nothing is asked for on the network but the registry.
 */
export class Signer implements AsyncDisposable {
  /** PEM. */
  readonly publicKey: string;
  /** `trusted_root.json` of the sigstore. */
  readonly trustedRoot: string;
  readonly #cosign: string;
  readonly #folder: string;
  readonly #services: { readonly url: string } & AsyncDisposable;

  private constructor(
    cosign: string,
    folder: string,
    trust: { readonly publicKey: string; readonly trustedRoot: string },
    services: { readonly url: string } & AsyncDisposable,
  ) {
    this.#cosign = cosign;
    this.#folder = folder;
    this.#services = services;
    this.publicKey = trust.publicKey;
    this.trustedRoot = trust.trustedRoot;
  }

  static async create(signal: AbortSignal, reporter: Reporter = silentReporter): Promise<Signer> {
    const { cosign } = await ensureTools(['cosign'], reporter, signal);
    const folder = await mkdtemp(join(tmpdir(), 'cosign-'));
    const sigstore = await TestSigstore.create();
    const services = await sigstore.serve();
    const publicKey = await generateKey(cosign, join(folder, 'cosign'), signal);
    await writeFile(join(folder, 'trusted-root.json'), sigstore.trustedRoot);
    await writeFile(join(folder, 'no-services.json'), signingConfig());
    await writeFile(join(folder, 'services.json'), signingConfig(services.url));
    return new Signer(cosign, folder, { publicKey, trustedRoot: sigstore.trustedRoot }, services);
  }

  /** Signs `host/repository@digest` with the key. */
  async signWithKey(pinned: string, form: SignatureForm, signal: AbortSignal): Promise<void> {
    const flags =
      form === 'bundle' ? ['--signing-config', 'no-services.json'] : [...OLD_FORM, '--tlog-upload=false'];
    await this.#sign(['--key', 'cosign.key', ...flags, pinned], signal);
  }

  /** Signs as {@link SUBJECT}, by the word of {@link ISSUER}. */
  async signAsIdentity(pinned: string, form: SignatureForm, signal: AbortSignal): Promise<void> {
    const { url } = this.#services;
    const flags =
      form === 'bundle'
        ? ['--signing-config', 'services.json']
        : [...OLD_FORM, '--fulcio-url', url, '--rekor-url', url];
    const identity = ['--identity-token', identityToken(), '--trusted-root', 'trusted-root.json'];
    await this.#sign([...identity, ...flags, pinned], signal);
  }

  /** The public key of somebody else. */
  async foreignKey(signal: AbortSignal): Promise<string> {
    const folder = await mkdtemp(join(this.#folder, 'foreign-'));
    return await generateKey(this.#cosign, join(folder, 'cosign'), signal);
  }

  async #sign(args: readonly string[], signal: AbortSignal): Promise<void> {
    // Nothing may be asked for on the network: trust is given, and updates are none of a test's business.
    const env = {
      COSIGN_PASSWORD: '',
      TUF_MIRROR: this.#services.url,
      TUF_ROOT: join(this.#folder, 'tuf'),
      HOME: this.#folder,
    };
    await run(this.#cosign, ['sign', '--yes', ...args], { cwd: this.#folder, env, signal });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#services[Symbol.asyncDispose]();
    await rm(this.#folder, { recursive: true });
  }
}

async function generateKey(cosign: string, prefix: string, signal: AbortSignal): Promise<string> {
  await run(cosign, ['generate-key-pair', '--output-key-prefix', prefix], {
    env: { COSIGN_PASSWORD: '' },
    signal,
  });
  return await readFile(`${prefix}.pub`, 'utf8');
}

/** Which services cosign asks (sigstore protobuf-specs, SigningConfig). */
function signingConfig(url?: string): string {
  const validFor = { start: new Date(Date.now() - 60_000).toISOString() };
  const service = url === undefined ? [] : [{ url, majorApiVersion: 1, validFor, operator: 'test' }];
  const any = { selector: 'ANY' };
  return JSON.stringify({
    mediaType: 'application/vnd.dev.sigstore.signingconfig.v0.2+json',
    caUrls: service,
    rekorTlogUrls: service,
    rekorTlogConfig: any,
    tsaConfig: any,
  });
}

/** A token of the issuer. Nobody checks its signature: the authority here believes everybody. */
function identityToken(): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: ISSUER, sub: SUBJECT, aud: 'sigstore', iat: now, exp: now + 3600 };
  return `${part({ alg: 'RS256' })}.${part(claims)}.${part('unsigned')}`;
}
