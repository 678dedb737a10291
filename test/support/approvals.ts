import { Authenticator } from './authenticator/authenticator.js';
import { type Credential, makeProblem, type Page } from './bodies.js';
import { requireStatus } from './ceremonies.js';
import type { Answer } from './client.js';
import { toSpiffeId, type TestService } from './service.js';

export interface Approval {
  id: string;
  permission: string;
  rpId: string;
  status: string;
  requestedBy: string;
  expiresAt: string;
  decidedBy: string | null;
  decidedAt: string | null;
  reason: string | null;
  userId?: string | null;
  change?: { version: number; changes: { pointer: string; weakens: boolean }[] };
}

export const RP_ID = 'login.example.com';

export const STATE = makeProblem(409, 'approval-state');
export const UNKNOWN = makeProblem(404, 'approval-unknown');
/** The id of no request. */
export const NOWHERE = '0195511f-03b2-7c11-8d0e-5b7a90a4c3d2';

/** The identities that the policy names beside development's. */
export const IDENTITIES = ['helpdesk', 'second', 'third'];

/** A policy that asks for no approvals. */
export const SERVICES = `version: 1
trustDomain: passkey-manager.local
services:
  - id: ${toSpiffeId('auth-service')}
    permissions: [passkeys:register, passkeys:authenticate, passkeys:read]
  - id: ${toSpiffeId('operator')}
    permissions: [passkeys:erase, passkeys:read, relying-parties:read, relying-parties:write, approvals:decide]
  - id: ${toSpiffeId('helpdesk')}
    permissions: [passkeys:erase]
  - id: ${toSpiffeId('second')}
    permissions: [approvals:decide]
  - id: ${toSpiffeId('third')}
    permissions: [approvals:decide]
  - id: ${toSpiffeId('auditor')}
    permissions: [audit:read]
`;
export const TTL_SECONDS = 600;
/** What makes it ask. */
export const APPROVALS = `approvals:
  permissions: [passkeys:erase, relying-parties:write]
  ttlSeconds: ${String(TTL_SECONDS)}
`;

/** Asks for what needs an approval, and decides. */
export class ApprovalCalls {
  private users = 0;

  constructor(private readonly service: TestService) {}

  call<Body = Approval>(identity: string, method: string, path: string, body?: unknown): Promise<Answer<Body>> {
    return this.service.client.call<Body>(identity, method, path, body);
  }

  decide(
    identity: string,
    { id }: Pick<Approval, 'id'>,
    verb = 'approve',
    reason = 'change 4711',
  ): Promise<Answer<Approval>> {
    return this.call(identity, 'POST', `/v1/approvals/${id}/${verb}`, { reason });
  }

  async read(identity: string, { id }: Pick<Approval, 'id'>): Promise<Approval> {
    return requireStatus(await this.call(identity, 'GET', `/v1/approvals/${id}`), 200);
  }

  async list(query = ''): Promise<Approval[]> {
    return requireStatus(await this.call<Page<Approval>>('second', 'GET', `/v1/approvals?limit=200${query}`), 200).data;
  }

  erase(userId: string, identity = 'operator'): Promise<Answer<Approval>> {
    return this.call(identity, 'DELETE', `/v1/users/${userId}?rpId=${RP_ID}`);
  }

  async listPasskeys(userId: string): Promise<Credential[]> {
    const path = `/v1/credentials?userId=${userId}`;
    return requireStatus(await this.call<Page<Credential>>('auth-service', 'GET', path), 200).data;
  }

  /** Names a user who does not exist. */
  nameUser(): string {
    return `user-${String((this.users += 1))}`;
  }

  /** Registers a new user, and asks for the user's erasure. */
  async requestErasure(): Promise<{ userId: string; approval: Approval }> {
    const userId = this.nameUser();
    await this.service.ceremonies(RP_ID).registered(userId, new Authenticator());
    return { userId, approval: requireStatus(await this.erase(userId), 202) };
  }
}
