import { readFileSync } from 'node:fs';
import { Agent, fetch } from 'undici';
import type { components, operations } from './contract.ts';
import { parseProblem } from './problem.ts';

export { PasskeyProblem } from './problem.ts';
export type Schemas = components['schemas'];
type Query<Name extends keyof operations> = NonNullable<operations[Name]['parameters']['query']>;

export interface PasskeyManagerOptions {
  url: string;
  /**
   * PEM files: the caller's certificate with its chain, its private key, and the CA of Passkey Manager's certificate.
   */
  certFile: string;
  keyFile: string;
  caFile: string;
  /** The time limit for a whole request, including the connection: milliseconds. 10,000 by default. */
  timeoutMs?: number;
  connections?: number;
}

/** Has one method per operation of the contract. Each throws a PasskeyProblem for a reply that is not a success. */
export class PasskeyManager {
  readonly #options: PasskeyManagerOptions;
  #agent: Agent;

  constructor(options: PasskeyManagerOptions) {
    this.#options = options;
    this.#agent = createAgent(options);
  }

  issueRegistrationChallenge(body: Schemas['RegistrationChallengeRequest']): Promise<Schemas['RegistrationChallenge']> {
    return this.#call('POST', '/v1/challenges/registration', { body });
  }

  registerCredential(body: Schemas['RegistrationRequest']): Promise<Schemas['Credential']> {
    return this.#call('POST', '/v1/credentials', { body });
  }

  issueAuthenticationChallenge(
    body: Schemas['AuthenticationChallengeRequest'],
  ): Promise<Schemas['AuthenticationChallenge']> {
    return this.#call('POST', '/v1/challenges/authentication', { body });
  }

  verifyAuthentication(body: Schemas['AuthenticationRequest']): Promise<Schemas['Verification']> {
    return this.#call('POST', '/v1/credentials/verify', { body });
  }

  listCredentials(query: Query<'listCredentials'> = {}): Promise<Schemas['CredentialPage']> {
    return this.#call('GET', '/v1/credentials', { query });
  }

  getCredential(id: string): Promise<Schemas['Credential']> {
    return this.#call('GET', path`/v1/credentials/${id}`);
  }

  renameCredential(id: string, name: string): Promise<Schemas['Credential']> {
    return this.#call('PATCH', path`/v1/credentials/${id}`, { body: { name } });
  }

  suspendCredential(id: string, reason: string): Promise<Schemas['Credential']> {
    return this.#call('POST', path`/v1/credentials/${id}/suspend`, { body: { reason } });
  }

  reinstateCredential(id: string, reason: string): Promise<Schemas['Credential']> {
    return this.#call('POST', path`/v1/credentials/${id}/reinstate`, { body: { reason } });
  }

  revokeCredential(id: string, reason: string): Promise<Schemas['Credential']> {
    return this.#call('POST', path`/v1/credentials/${id}/revoke`, { body: { reason } });
  }

  getUserSignals(userId: string, rpId: string): Promise<Schemas['UserSignals']> {
    return this.#call('GET', path`/v1/users/${userId}/signals`, { query: { rpId } });
  }

  /**
   * Get the signals for signalsAfterErasure() before you call this. An approval in the reply means that nothing is erased
   * until somebody else approves it.
   */
  eraseUser(userId: string, rpId: string): Promise<Schemas['Approval'] | undefined> {
    return this.#call('DELETE', path`/v1/users/${userId}`, { query: { rpId } });
  }

  /** An approval in the reply means that nothing is stored until somebody else approves it. */
  putRelyingParty(
    rpId: string,
    body: Schemas['RelyingPartySettings'],
  ): Promise<Schemas['RelyingParty'] | Schemas['Approval']> {
    return this.#call('PUT', path`/v1/relying-parties/${rpId}`, { body });
  }

  /** Returns what `putRelyingParty` would store, and the passkeys that could no longer sign in. It stores nothing. */
  dryRunRelyingParty(rpId: string, body: Schemas['RelyingPartySettings']): Promise<Schemas['RelyingPartyDryRun']> {
    return this.#call('PUT', path`/v1/relying-parties/${rpId}`, { query: { dryRun: true }, body });
  }

  listRelyingParties(): Promise<Schemas['RelyingPartyList']> {
    return this.#call('GET', '/v1/relying-parties');
  }

  getRelyingParty(rpId: string): Promise<Schemas['RelyingParty']> {
    return this.#call('GET', path`/v1/relying-parties/${rpId}`);
  }

  getRelatedOrigins(rpId: string): Promise<Schemas['RelatedOrigins']> {
    return this.#call('GET', path`/v1/relying-parties/${rpId}/related-origins`);
  }

  listApprovals(query: Query<'listApprovals'> = {}): Promise<Schemas['ApprovalPage']> {
    return this.#call('GET', '/v1/approvals', { query });
  }

  getApproval(id: string): Promise<Schemas['Approval']> {
    return this.#call('GET', path`/v1/approvals/${id}`);
  }

  approveRequest(id: string, reason: string): Promise<Schemas['Approval']> {
    return this.#call('POST', path`/v1/approvals/${id}/approve`, { body: { reason } });
  }

  refuseRequest(id: string, reason: string): Promise<Schemas['Approval']> {
    return this.#call('POST', path`/v1/approvals/${id}/refuse`, { body: { reason } });
  }

  listAuditEvents(query: Query<'listAuditEvents'> = {}): Promise<Schemas['AuditEventPage']> {
    return this.#call('GET', '/v1/audit/events', { query });
  }

  getAuditEvent(id: string): Promise<Schemas['AuditEvent']> {
    return this.#call('GET', path`/v1/audit/events/${id}`);
  }

  getOpenApiDocument(): Promise<Schemas['OpenApiDocument']> {
    return this.#call('GET', '/openapi.json');
  }

  /** Reads the files again, after a rotation. Running requests finish on their old connections. */
  async reload(): Promise<void> {
    const former = this.#agent;
    this.#agent = createAgent(this.#options);
    await former.close();
  }

  async close(): Promise<void> {
    await this.#agent.close();
  }

  async #call<Reply>(method: string, encodePath: string, { query = {}, body }: Input = {}): Promise<Reply> {
    const url = new URL(encodePath, this.#options.url);
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    const response = await fetch(url, {
      method,
      dispatcher: this.#agent,
      redirect: 'error',
      signal: AbortSignal.timeout(this.#options.timeoutMs ?? 10_000),
      ...(body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    const text = await response.text();
    if (!response.ok) throw parseProblem(response.status, text, response.headers.get('retry-after'));
    return (text === '' ? undefined : JSON.parse(text)) as Reply;
  }
}

/**
 * Makes the signal that removes every passkey of an erased user from the browser. Pass it to
 * `PublicKeyCredential.signalAllAcceptedCredentials()` after eraseUser() has succeeded.
 *
 * @param signals the result of getUserSignals() before the erasure, which deletes the user handle that the browser
 * knows
 */
export function makeErasureSignals({ allAcceptedCredentials }: Schemas['UserSignals']): Schemas['UserSignals'] {
  return { allAcceptedCredentials: { ...allAcceptedCredentials, allAcceptedCredentialIds: [] } };
}

interface Input {
  query?: Record<string, string | number | boolean | undefined>;
  body?: object;
}

function createAgent({ certFile, keyFile, caFile, connections = 32 }: PasskeyManagerOptions): Agent {
  const [cert, key, ca] = [certFile, keyFile, caFile].map((file) => readFileSync(file));
  return new Agent({ connections, connect: { cert, key, ca, minVersion: 'TLSv1.3' } });
}

function path(parts: TemplateStringsArray, ...values: string[]): string {
  // The URL class removes these two segments, even percent-encoded ones, and the request would go to another path.
  if (values.includes('.') || values.includes('..')) throw new TypeError('a path cannot contain the ids "." and ".."');
  return String.raw({ raw: parts }, ...values.map(encodeURIComponent));
}
