import 'reflect-metadata';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';
import type { TlsFiles } from '../../src/config/config.js';
import { issue, type Issued, type Profile } from './authenticator/certificate-chain.js';
import { type ListProfile, makeRevocationList } from './revocation-lists.js';

const { ExtendedKeyUsage, KeyUsageFlags } = x509;

export const SPIFFE_ID = 'spiffe://bank.example/auth-service';

/** Makes an authority that may sign certificates and revocation lists. By default it is a root. */
export const issueAuthority = (profile: Profile = {}, by?: Issued): Promise<Issued> =>
  issue({ subject: 'CN=Root', ca: true, keyUsage: KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, ...profile }, by);

/** Makes such an authority with a subject key identifier. @param keyId hexadecimal */
export const issueIdentifiedAuthority = (keyId: string, profile: Profile = {}, by?: Issued): Promise<Issued> =>
  issueAuthority(
    { ...profile, extensions: [new x509.SubjectKeyIdentifierExtension(keyId), ...(profile.extensions ?? [])] },
    by,
  );

/** Issues a caller's X.509-SVID. */
export const issueCaller = (by: Issued, { extensions = [], ...profile }: Profile = {}): Promise<Issued> => {
  const san = new x509.SubjectAlternativeNameExtension([{ type: 'url', value: SPIFFE_ID }]);
  const usage = new x509.ExtendedKeyUsageExtension([ExtendedKeyUsage.clientAuth]);
  return issue({ subject: 'CN=auth-service', extensions: [san, usage, ...extensions], ...profile }, by);
};

export const issueServer = (
  by: Issued,
  profile: Profile = {},
  usage: string = ExtendedKeyUsage.serverAuth,
): Promise<Issued> => {
  const san = new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: 'localhost' }]);
  const usages = new x509.ExtendedKeyUsageExtension([usage]);
  return issue({ subject: 'CN=localhost', extensions: [san, usages], ...profile }, by);
};

export const exportKey = ({ privateKey }: Issued): string => privateKey.export({ type: 'pkcs8', format: 'pem' });

/** The files of a listener, in a directory of their own: an authority, its revocation list, a server's certificate and key. */
export class TrustFiles {
  readonly directory = mkdtempSync(join(tmpdir(), 'passkey-manager-trust-'));
  readonly files = {
    certFile: this.path('server.crt'),
    keyFile: this.path('server.key'),
    caFile: this.path('ca.crt'),
    crlFile: this.path('ca.crl'),
  } satisfies TlsFiles;

  private constructor(
    readonly root: Issued,
    readonly server: Issued,
  ) {}

  static async create(): Promise<TrustFiles> {
    const root = await issueAuthority();
    const files = new TrustFiles(root, await issueServer(root));
    files.write('server.crt', files.server.pem);
    files.write('server.key', exportKey(files.server));
    files.write('ca.crt', root.pem);
    files.write('ca.crl', makeRevocationList(root));
    return files;
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  write(name: string, content: string | Buffer): void {
    writeFileSync(this.path(name), content);
  }

  revoke(profile: ListProfile): void {
    this.write('ca.crl', makeRevocationList(this.root, profile));
  }

  remove(): void {
    rmSync(this.directory, { recursive: true });
  }
}
