import { IsIn, Matches } from 'class-validator';
import { IsText } from '../../contract/is-text.js';
import { Optional } from '../../contract/optional.js';
import { PageLimit } from '../../contract/page-limit.js';
import { IsRpId } from '../../contract/rp-id.js';
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
  @Matches(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i, { message: 'aaguid must be a UUID' })
  aaguid?: string;

  @PageLimit()
  limit = 50;

  @Optional()
  @Matches(/^[A-Za-z0-9_-]{1,512}$/)
  cursor?: string;
}

/** A user of one relying party. */
export class UserParam {
  @IsText(1, 256)
  userId: string;
}

export class RelyingPartyQuery {
  @IsRpId()
  rpId: string;
}
