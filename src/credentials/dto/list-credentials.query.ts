import { IsIn } from 'class-validator';
import { HasForm, IsRpId, IsText, IsTimestamp, Optional, UUID } from '../../http/validators.js';
import { CURSOR, CURSOR_WORDS, PageLimit } from '../../http/page.js';
import { COSE_ALGORITHMS } from '../../webauthn/cose.js';
import type { AttestationTrust } from '../../webauthn/refusal.js';
import type { CredentialStatus } from '../credential.entity.js';

const TRUSTS: readonly AttestationTrust[] = ['none', 'self', 'untrusted', 'trusted'];

export class ListCredentialsQuery {
  @Optional()
  @IsRpId()
  rpId?: string;

  @Optional()
  @IsText(1, 256)
  userId?: string;

  @Optional()
  @IsIn(['active', 'suspended', 'revoked'])
  status?: CredentialStatus;

  @Optional()
  @HasForm(UUID, 'a UUID')
  aaguid?: string;

  /** Not used at this time or later; one that was never used counts from its creation. */
  @Optional()
  @IsTimestamp()
  unusedSince?: string;

  @Optional()
  @IsIn(['true', 'false'])
  backedUp?: 'true' | 'false';

  /** A passkey of which it is not known whether it is backup eligible matches neither. */
  @Optional()
  @IsIn(['true', 'false'])
  backupEligible?: 'true' | 'false';

  @Optional()
  @IsIn(COSE_ALGORITHMS.map(String))
  algorithm?: string;

  @Optional()
  @IsIn(TRUSTS)
  attestationTrust?: AttestationTrust;

  @PageLimit()
  limit = 50;

  @Optional()
  @HasForm(CURSOR, CURSOR_WORDS)
  cursor?: string;
}

/** The path of a route about one user; RelyingPartyQuery names the relying party. */
export class UserParam {
  @IsText(1, 256)
  userId: string;
}

export class RelyingPartyQuery {
  @IsRpId()
  rpId: string;
}
