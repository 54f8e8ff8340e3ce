const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';

/** An image in a registry that speaks plain HTTP. */
export interface SignedPlace {
  /** `host:port`. */
  readonly registry: string;
  readonly repository: string;
  readonly digest: string;
}

/** Puts the signature that was stored by tag for one image beside another, as an attacker who may push would. */
export async function carrySignature(from: SignedPlace, to: SignedPlace): Promise<void> {
  const tag = ({ digest }: SignedPlace): string => `${digest.replace(':', '-')}.sig`;
  const base = ({ registry, repository }: SignedPlace): string => `http://${registry}/v2/${repository}`;
  const stored = await fetch(`${base(from)}/manifests/${tag(from)}`, { headers: { accept: MANIFEST } });
  if (!stored.ok) throw new Error(`${from.repository} has no signature by tag (${stored.status})`);
  const body = await stored.text();
  const { config, layers } = JSON.parse(body) as {
    readonly config: { readonly digest: string };
    readonly layers: readonly { readonly digest: string }[];
  };
  if (from.repository !== to.repository) {
    for (const { digest } of [config, ...layers]) {
      const mount = `${base(to)}/blobs/uploads/?mount=${digest}&from=${from.repository}`;
      const answer = await fetch(mount, { method: 'POST' });
      if (answer.status !== 201) throw new Error(`blob ${digest} was not mounted (${answer.status})`);
    }
  }
  const headers = { 'content-type': MANIFEST };
  const put = await fetch(`${base(to)}/manifests/${tag(to)}`, { method: 'PUT', body, headers });
  if (put.status !== 201) throw new Error(`the signature was not stored (${put.status})`);
}
