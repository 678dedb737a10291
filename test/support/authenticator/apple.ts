import 'reflect-metadata';
import { createPublicKey } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { sha256 } from './authenticator-data.js';
import type { Attested } from './attestation.js';
import { issue, type Issued, type Profile } from './certificate-chain.js';
import type { CredentialKey } from './keys.js';

export const appleNonce = (nonce: Buffer): x509.Extension =>
  new x509.Extension('1.2.840.113635.100.8.2', false, Buffer.concat([Buffer.from('3024a1220420', 'hex'), nonce]));

export const makeNonce = ({ authenticatorData, clientDataHash }: Attested): Buffer =>
  sha256(Buffer.concat([authenticatorData, clientDataHash]));

/** The certificate that Apple issues for a new credential: its key, and a nonce that binds it to the ceremony. */
export function issueAppleCertificate(key: CredentialKey, root: Issued, profile: Profile): Promise<Issued> {
  const parameters = { name: 'ECDSA', namedCurve: key.algorithm === 'ES384' ? 'P-384' : 'P-256' };
  const keys = {
    publicKey: createPublicKey(key.privateKey).toCryptoKey(parameters, true, ['verify']),
    privateKey: key.privateKey.toCryptoKey(parameters, true, ['sign']),
  };
  return issue({ subject: 'CN=Credential', keys, ...profile }, root);
}
