import { IsIn } from 'class-validator';
import { HasForm, IsRpId, IsText, Optional, UUID } from '../../http/validators.js';
import { CURSOR, CURSOR_WORDS, PageLimit } from '../../http/page.js';
import type { CredentialStatus } from '../credential.entity.js';

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
