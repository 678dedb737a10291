import 'reflect-metadata';
import { KeyObject, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

/** An attestation certificate with its private key. */
export interface AttestationCertificate {
  readonly chain: readonly Buffer[];
  readonly privateKey: KeyObject;
}

export interface AttestationAuthority {
  readonly rootPem: string;
  issue(profile?: Partial<LeafProfile>): Promise<AttestationCertificate>;
}

/** The fields of a packed attestation certificate that WebAuthn L3 §8.2.1 checks. A test can falsify each. */
export interface LeafProfile {
  subject: string;
  aaguid: string | null;
  ca: boolean;
  notBefore: Date;
  notAfter: Date;
}

const ES256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const ID_FIDO_GEN_CE_AAGUID = '1.3.6.1.4.1.45724.1.1.4';
const DAY_MS = 86_400_000;

const newKeys = (): Promise<webcrypto.CryptoKeyPair> => webcrypto.subtle.generateKey(ES256, true, ['sign', 'verify']);

/** A made-up maker of authenticators: a root, and leaves for its models. */
export async function createAttestationAuthority(name = 'Example Authenticators'): Promise<AttestationAuthority> {
  x509.cryptoProvider.set(webcrypto);
  const keys = await newKeys();
  const validity = { notBefore: new Date(Date.now() - DAY_MS), notAfter: new Date(Date.now() + 365 * DAY_MS) };
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${name} Root, O=${name}, C=XX`,
    keys,
    signingAlgorithm: ES256,
    ...validity,
    extensions: [new x509.BasicConstraintsExtension(true, 0, true)],
  });

  const issue = async (profile: Partial<LeafProfile> = {}): Promise<AttestationCertificate> => {
    const leafKeys = await newKeys();
    const { subject = `CN=Model One, OU=Authenticator Attestation, O=${name}, C=XX`, aaguid = null } = profile;
    const leaf = await x509.X509CertificateGenerator.create({
      subject,
      issuer: root.subject,
      publicKey: leafKeys.publicKey,
      signingKey: keys.privateKey,
      signingAlgorithm: ES256,
      notBefore: profile.notBefore ?? validity.notBefore,
      notAfter: profile.notAfter ?? validity.notAfter,
      extensions: [
        new x509.BasicConstraintsExtension(profile.ca ?? false, undefined, true),
        ...(aaguid === null ? [] : [aaguidExtension(aaguid)]),
      ],
    });
    return { chain: [Buffer.from(leaf.rawData)], privateKey: KeyObject.from(leafKeys.privateKey) };
  };

  return { rootPem: root.toString('pem'), issue };
}

/** The value is an OCTET STRING inside the extension's own OCTET STRING. */
function aaguidExtension(aaguid: string): x509.Extension {
  return new x509.Extension(
    ID_FIDO_GEN_CE_AAGUID,
    false,
    Buffer.concat([Buffer.from([0x04, 0x10]), Buffer.from(aaguid.replaceAll('-', ''), 'hex')]),
  );
}
