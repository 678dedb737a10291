import { authenticatorName } from '../../authenticators/authenticator-names.js';
import type { CredentialEntity, CredentialStatus } from '../credential.entity.js';

export class CredentialResponse {
  id: string;
  credentialId: string;
  rpId: string;
  userId: string;
  name: string;
  status: CredentialStatus;
  aaguid: string;
  authenticator: { name: string } | null;
  algorithm: number;
  attachment: string | null;
  transports: string[];
  discoverable: boolean | null;
  backupEligible: boolean;
  backedUp: boolean;
  userVerified: boolean;
  attestation: { format: string; trust: string };
  signCount: number;
  createdAt: Date;
  createdBy: string;
  lastUsedAt: Date | null;
  statusChangedAt: Date;
  statusReason: string | null;

  static of(credential: CredentialEntity): CredentialResponse {
    const { credentialId, publicKey, bindingMac, attestationFormat, attestationTrust, ...shown } = credential;
    const name = authenticatorName(credential.aaguid);
    return {
      ...shown,
      credentialId: credentialId.toString('base64url'),
      authenticator: name === undefined ? null : { name },
      attestation: { format: attestationFormat, trust: attestationTrust },
    };
  }
}
