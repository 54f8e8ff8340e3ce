import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../process/run.ts';

/** Paths of a PEM certificate and its private key. */
export interface CertificateFiles {
  readonly certificate: string;
  readonly key: string;
}

/** Who a certificate is for. */
export interface CertificateRequest {
  /** File name without extension. */
  readonly file: string;
  readonly commonName: string;
  /** Kubernetes takes these as the user's groups. */
  readonly organization?: string;
  /** Subject alternative names in OpenSSL's form: `DNS:name`, `IP:address`. */
  readonly names?: readonly string[];
  readonly usages: readonly ('serverAuth' | 'clientAuth')[];
}

const days = '3650';
const elliptic = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

/** A certificate authority kept in a folder, signing through the openssl command. */
export class CertificateAuthority {
  readonly folder: string;
  readonly files: CertificateFiles;

  private constructor(folder: string) {
    this.folder = folder;
    this.files = { certificate: join(folder, 'ca.crt'), key: join(folder, 'ca.key') };
  }

  /** Makes a new authority in `folder`. */
  static async create(
    folder: string,
    commonName: string,
    signal: AbortSignal,
  ): Promise<CertificateAuthority> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const authority = new CertificateAuthority(folder);
    // An own, empty configuration: distributions' defaults add extensions of theirs.
    await writeFile(authority.configuration, '[req]\ndistinguished_name=dn\n[dn]\n');
    await run(
      'openssl',
      [
        'req',
        '-x509',
        '-new',
        ...elliptic,
        '-config',
        authority.configuration,
        '-days',
        days,
        '-subj',
        `/CN=${commonName}`,
        '-keyout',
        authority.files.key,
        '-out',
        authority.files.certificate,
        '-addext',
        'basicConstraints=critical,CA:TRUE',
        '-addext',
        'keyUsage=critical,keyCertSign,cRLSign,digitalSignature',
        '-addext',
        'subjectKeyIdentifier=hash',
      ],
      { signal },
    );
    return authority;
  }

  /** Makes a key and a certificate signed by this authority. */
  async issue(request: CertificateRequest, signal: AbortSignal): Promise<CertificateFiles> {
    const certificate = join(this.folder, `${request.file}.crt`);
    const key = join(this.folder, `${request.file}.key`);
    const organization = request.organization === undefined ? '' : `/O=${request.organization}`;
    const names = request.names ?? [];
    await run(
      'openssl',
      [
        'req',
        '-x509',
        '-new',
        ...elliptic,
        '-config',
        this.configuration,
        '-days',
        days,
        '-subj',
        `${organization}/CN=${request.commonName}`,
        '-keyout',
        key,
        '-out',
        certificate,
        '-CA',
        this.files.certificate,
        '-CAkey',
        this.files.key,
        '-addext',
        'basicConstraints=critical,CA:FALSE',
        '-addext',
        'keyUsage=critical,digitalSignature',
        '-addext',
        `extendedKeyUsage=${request.usages.join(',')}`,
        ...(names.length === 0 ? [] : ['-addext', `subjectAltName=${names.join(',')}`]),
      ],
      { signal },
    );
    return { certificate, key };
  }

  private get configuration(): string {
    return join(this.folder, 'openssl.cnf');
  }
}

/** Makes the key pair that signs service-account tokens: PEM, private and public. */
export async function createTokenKeys(
  folder: string,
  signal: AbortSignal,
): Promise<{ readonly privateKey: string; readonly publicKey: string }> {
  const privateKey = join(folder, 'service-account.key');
  const publicKey = join(folder, 'service-account.pub');
  await run('openssl', ['ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', privateKey], {
    signal,
  });
  await run('openssl', ['ec', '-in', privateKey, '-pubout', '-out', publicKey], { signal });
  return { privateKey, publicKey };
}

/** Writes a kubeconfig with everything inline; JSON, which is YAML too. */
export async function writeKubeconfig(
  path: string,
  cluster: { readonly name: string; readonly server: string; readonly authority: string },
  client: CertificateFiles,
): Promise<void> {
  const base64 = async (file: string): Promise<string> => (await readFile(file)).toString('base64');
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name: cluster.name,
        cluster: {
          server: cluster.server,
          'certificate-authority-data': await base64(cluster.authority),
        },
      },
    ],
    users: [
      {
        name: cluster.name,
        user: {
          'client-certificate-data': await base64(client.certificate),
          'client-key-data': await base64(client.key),
        },
      },
    ],
    contexts: [{ name: cluster.name, context: { cluster: cluster.name, user: cluster.name } }],
    'current-context': cluster.name,
  };
  await writeFile(path, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
}
