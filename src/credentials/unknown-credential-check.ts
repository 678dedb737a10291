import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { And, Equal, type FindOptionsWhere, Not, Repository } from 'typeorm';
import { UserSeals } from '../audit/user-seals.js';
import { UserHandleEntity } from '../challenges/user-handle.entity.js';
import type { Challenge } from '../challenges/challenge.js';
import type { RequestContext } from '../http/request-context.js';
import { CredentialBindings } from './credential-bindings.js';
import { CredentialEntity } from './credential.entity.js';
import { UNKNOWN_HANDLE } from '../challenges/held-handle.js';

/** The ids in an answer, base64url. */
interface AnswerIds {
  readonly id: string;
  readonly response: { readonly userHandle?: string | null };
}

/** Decides if a browser may be told to forget a passkey (`signalUnknownCredential()`, WebAuthn L3 §5.1.10). */
@Injectable()
export class UnknownCredentialCheck {
  constructor(
    @InjectRepository(CredentialEntity) private readonly credentials: Repository<CredentialEntity>,
    @InjectRepository(UserHandleEntity) private readonly handles: Repository<UserHandleEntity>,
    private readonly bindings: CredentialBindings,
    private readonly users: UserSeals,
  ) {}

  /**
   * True if it is certain that the relying party has no such credential. A row that something other than the service
   * changed may be this credential under another id, user or relying party. So every row of the user and every row with
   * this credential id must pass the integrity check, and so must the row of the user. Rows that fail are reported.
   */
  async isUnknown(context: RequestContext, challenge: Challenge, { id, response }: AnswerIds): Promise<boolean> {
    const { rpId, userId: challenged } = challenge;
    const { userHandle } = response;
    if (challenged === undefined && typeof userHandle !== 'string') return false;
    const credentialId = Buffer.from(id, 'base64url');
    const where: FindOptionsWhere<CredentialEntity>[] = [{ credentialId }];
    if (challenged !== undefined) where.push({ rpId, userId: challenged });
    if (typeof userHandle === 'string') {
      const handle = Buffer.from(userHandle, 'base64url');
      const user = await this.handles.findOneBy({ rpId, handle });
      if (user && !(await this.users.keepGenuine(context, user))) return false;
      if (user) where.push({ rpId, userId: user.userId });
      else where.push({ rpId, userHandle: And(Equal(handle), Not(UNKNOWN_HANDLE)) });
    }
    const rows = await this.credentials.find({ where });
    if (rows.some((row) => row.rpId === rpId && row.credentialId.equals(credentialId))) return false;
    return this.bindings.verifyRows(context, rows);
  }
}
