import type { Readable } from 'node:stream';
import type { components, operations } from './contract.ts';
import { type Call, Transport, type TransportOptions } from './transport.ts';
import type {
  AuthenticationChallenge,
  AuthenticationRequest,
  ConfirmationChallenge,
  ConfirmationRequest,
  PaymentAnswer,
  RegistrationChallenge,
  RegistrationRequest,
} from './webauthn.ts';

export * from './erasure-signals.ts';
export { PasskeyProblem, type ProblemSlug } from './problem.ts';
export * from './receipt.ts';
export * from './signal.ts';
export { PasskeyTransportError, type TransportFault } from './transport-error.ts';
export type * from './webauthn.ts';
export type PasskeyManagerOptions = TransportOptions;
export type Schemas = components['schemas'];
type Query<Name extends keyof operations> = NonNullable<operations[Name]['parameters']['query']>;

export interface CallOptions {
  /** Ends the call, which then throws the signal's reason. */
  signal?: AbortSignal | undefined;
}

/**
 * Has one method for each operation of the contract. Each throws a PasskeyProblem for a reply that is not a success, and
 * a PasskeyTransportError if no reply comes.
 */
export class PasskeyManager {
  readonly #transport: Transport;

  /** @throws Error when `url` is wrong, or a file cannot be used */
  constructor(options: PasskeyManagerOptions) {
    this.#transport = new Transport(options);
  }

  issueRegistrationChallenge(
    body: Schemas['RegistrationChallengeRequest'],
    options?: CallOptions,
  ): Promise<RegistrationChallenge> {
    return this.#call({ method: 'POST', path: '/v1/challenges/registration', body }, options);
  }

  registerCredential(body: RegistrationRequest, options?: CallOptions): Promise<Schemas['Credential']> {
    return this.#call({ method: 'POST', path: '/v1/credentials', body, repetition: 'when-unchanged' }, options);
  }

  issueAuthenticationChallenge(
    body: Schemas['AuthenticationChallengeRequest'],
    options?: CallOptions,
  ): Promise<AuthenticationChallenge> {
    return this.#call({ method: 'POST', path: '/v1/challenges/authentication', body }, options);
  }

  verifyAuthentication(body: AuthenticationRequest, options?: CallOptions): Promise<Schemas['Verification']> {
    return this.#call({ method: 'POST', path: '/v1/credentials/verify', body, repetition: 'when-unchanged' }, options);
  }

  issueConfirmationChallenge(
    body: Schemas['ConfirmationChallengeRequest'],
    options?: CallOptions,
  ): Promise<ConfirmationChallenge> {
    return this.#call({ method: 'POST', path: '/v1/challenges/confirmation', body }, options);
  }

  confirmTransaction(body: ConfirmationRequest, options?: CallOptions): Promise<Schemas['Confirmation']> {
    return this.#call({ method: 'POST', path: '/v1/confirmations', body, repetition: 'when-unchanged' }, options);
  }

  issuePaymentChallenge(
    body: Schemas['PaymentChallengeRequest'],
    options?: CallOptions,
  ): Promise<Schemas['PaymentChallenge']> {
    return this.#call({ method: 'POST', path: '/v1/challenges/payment', body }, options);
  }

  confirmPayment(body: PaymentAnswer, options?: CallOptions): Promise<Schemas['PaymentConfirmation']> {
    return this.#call({ method: 'POST', path: '/v1/payments', body, repetition: 'when-unchanged' }, options);
  }

  listCredentials(query: Query<'listCredentials'> = {}, options?: CallOptions): Promise<Schemas['CredentialPage']> {
    return this.#call({ method: 'GET', path: '/v1/credentials', query }, options);
  }

  /**
   * Sends passkeys of another service, one a line of JSON, and returns a verdict for each, one a line, while they go. Read the
   * verdicts while you send: the service stops reading if nobody takes them. The last line has the counts, and says where to go on
   * if it is not `complete`.
   */
  importCredentials(lines: Readable, query: Query<'importCredentials'>, options?: CallOptions): Promise<Readable> {
    const call = { method: 'POST', path: '/v1/credentials/import', query, lines } as const;
    return this.#call({ ...call, format: 'stream', repetition: 'never' }, options);
  }

  /**
   * Returns NDJSON, a passkey a line. It is whole only if its last line is the signed end; `npm run passkeys:verify-export` of the
   * service verifies it.
   */
  exportCredentials(rpId: string, options?: CallOptions): Promise<Readable> {
    return this.#call({ method: 'GET', path: '/v1/credentials/export', query: { rpId }, format: 'stream' }, options);
  }

  getCredential(id: string, options?: CallOptions): Promise<Schemas['Credential']> {
    return this.#call({ method: 'GET', path: path`/v1/credentials/${id}` }, options);
  }

  renameCredential(id: string, name: string, options?: CallOptions): Promise<Schemas['Credential']> {
    return this.#call({ method: 'PATCH', path: path`/v1/credentials/${id}`, body: { name } }, options);
  }

  suspendCredential(id: string, reason: string, options?: CallOptions): Promise<Schemas['Credential']> {
    return this.#change(path`/v1/credentials/${id}/suspend`, { reason }, options);
  }

  reinstateCredential(id: string, reason: string, options?: CallOptions): Promise<Schemas['Credential']> {
    return this.#change(path`/v1/credentials/${id}/reinstate`, { reason }, options);
  }

  revokeCredential(id: string, reason: string, options?: CallOptions): Promise<Schemas['Credential']> {
    return this.#change(path`/v1/credentials/${id}/revoke`, { reason }, options);
  }

  listBrowserKeys(id: string, options?: CallOptions): Promise<Schemas['BrowserKeyList']> {
    return this.#call({ method: 'GET', path: path`/v1/credentials/${id}/browser-keys` }, options);
  }

  trustBrowserKey(
    id: string,
    thumbprint: string,
    reason: string,
    options?: CallOptions,
  ): Promise<Schemas['BrowserKey']> {
    return this.#change(path`/v1/credentials/${id}/browser-keys/${thumbprint}/trust`, { reason }, options);
  }

  revokeBrowserKey(
    id: string,
    thumbprint: string,
    reason: string,
    options?: CallOptions,
  ): Promise<Schemas['BrowserKey']> {
    return this.#change(path`/v1/credentials/${id}/browser-keys/${thumbprint}/revoke`, { reason }, options);
  }

  getUserSignals(userId: string, rpId: string, options?: CallOptions): Promise<Schemas['UserSignals']> {
    return this.#call({ method: 'GET', path: path`/v1/users/${userId}/signals`, query: { rpId } }, options);
  }

  /** Revokes every passkey of the user, and ends the registrations that have begun. */
  revokeUser(userId: string, rpId: string, reason: string, options?: CallOptions): Promise<Schemas['RevokedUser']> {
    return this.#call(
      {
        method: 'POST',
        path: path`/v1/users/${userId}/revoke`,
        query: { rpId },
        body: { reason },
        repetition: 'always',
      },
      options,
    );
  }

  /**
   * Get the signals for makeErasureSignals() before you call this. An approval in the reply means that nothing is erased
   * until somebody else approves it.
   */
  eraseUser(userId: string, rpId: string, options?: CallOptions): Promise<Schemas['Approval'] | undefined> {
    return this.#call({ method: 'DELETE', path: path`/v1/users/${userId}`, query: { rpId } }, options);
  }

  /** Counts the passkeys of a relying party, and its ceremonies by hour. */
  getStatistics(query: Query<'getStatistics'>, options?: CallOptions): Promise<Schemas['Statistics']> {
    return this.#call({ method: 'GET', path: '/v1/statistics', query }, options);
  }

  /** An approval in the reply means that nothing is stored until somebody else approves it. */
  putRelyingParty(
    rpId: string,
    body: Schemas['RelyingPartySettings'],
    options?: CallOptions,
  ): Promise<Schemas['RelyingParty'] | Schemas['Approval']> {
    return this.#call({ method: 'PUT', path: path`/v1/relying-parties/${rpId}`, body }, options);
  }

  /** Returns what `putRelyingParty` would store, and the passkeys that could no longer sign in. It stores nothing. */
  dryRunRelyingParty(
    rpId: string,
    body: Schemas['RelyingPartySettings'],
    options?: CallOptions,
  ): Promise<Schemas['RelyingPartyDryRun']> {
    const query = { dryRun: true };
    return this.#call({ method: 'PUT', path: path`/v1/relying-parties/${rpId}`, query, body }, options);
  }

  listRelyingParties(options?: CallOptions): Promise<Schemas['RelyingPartyList']> {
    return this.#call({ method: 'GET', path: '/v1/relying-parties' }, options);
  }

  getRelyingParty(rpId: string, options?: CallOptions): Promise<Schemas['RelyingParty']> {
    return this.#call({ method: 'GET', path: path`/v1/relying-parties/${rpId}` }, options);
  }

  getRelatedOrigins(rpId: string, options?: CallOptions): Promise<Schemas['RelatedOrigins']> {
    return this.#call({ method: 'GET', path: path`/v1/relying-parties/${rpId}/related-origins` }, options);
  }

  /** Returns how many users have moved to the successor of a relying party. */
  getMigrationProgress(rpId: string, options?: CallOptions): Promise<Schemas['MigrationProgress']> {
    return this.#call({ method: 'GET', path: path`/v1/relying-parties/${rpId}/migration` }, options);
  }

  listApprovals(query: Query<'listApprovals'> = {}, options?: CallOptions): Promise<Schemas['ApprovalPage']> {
    return this.#call({ method: 'GET', path: '/v1/approvals', query }, options);
  }

  getApproval(id: string, options?: CallOptions): Promise<Schemas['Approval']> {
    return this.#call({ method: 'GET', path: path`/v1/approvals/${id}` }, options);
  }

  approveRequest(id: string, reason: string, options?: CallOptions): Promise<Schemas['Approval']> {
    return this.#change(path`/v1/approvals/${id}/approve`, { reason }, options);
  }

  refuseRequest(id: string, reason: string, options?: CallOptions): Promise<Schemas['Approval']> {
    return this.#change(path`/v1/approvals/${id}/refuse`, { reason }, options);
  }

  listAuditEvents(query: Query<'listAuditEvents'> = {}, options?: CallOptions): Promise<Schemas['AuditEventPage']> {
    return this.#call({ method: 'GET', path: '/v1/audit/events', query }, options);
  }

  getAuditEvent(id: string, options?: CallOptions): Promise<Schemas['AuditEvent']> {
    return this.#call({ method: 'GET', path: path`/v1/audit/events/${id}` }, options);
  }

  proveAuditEvent(id: string, options?: CallOptions): Promise<Schemas['InclusionProof']> {
    return this.#call({ method: 'GET', path: path`/v1/audit/events/${id}/proof` }, options);
  }

  proveAuditConsistency(
    query: Query<'proveAuditConsistency'>,
    options?: CallOptions,
  ): Promise<Schemas['ConsistencyProof']> {
    return this.#call({ method: 'GET', path: '/v1/audit/consistency', query }, options);
  }

  /** Returns a signed note. */
  getAuditCheckpoint(options?: CallOptions): Promise<string> {
    return this.#call({ method: 'GET', path: '/v1/audit/checkpoint', format: 'text' }, options);
  }

  /** Returns verifier keys, one a line. */
  getAuditKeys(options?: CallOptions): Promise<string> {
    return this.#call({ method: 'GET', path: '/v1/audit/key', format: 'text' }, options);
  }

  /** Returns NDJSON. It is whole only if its last line is a proof; `npm run audit:verify` of the service verifies it. */
  exportAuditLog(query: Query<'exportAuditLog'> = {}, options?: CallOptions): Promise<Readable> {
    return this.#call({ method: 'GET', path: '/v1/audit/export', query, format: 'stream' }, options);
  }

  /** Returns the keys for `verifyReceipt`, which can fetch them by itself. */
  getReceiptKeys(options?: CallOptions): Promise<Schemas['ReceiptKeys']> {
    return this.#call({ method: 'GET', path: '/v1/receipts/jwks' }, options);
  }

  getTransmitterConfiguration(options?: CallOptions): Promise<Schemas['TransmitterConfiguration']> {
    return this.#call({ method: 'GET', path: '/.well-known/ssf-configuration' }, options);
  }

  /** Returns the keys that verify security event tokens. */
  getSignalKeys(options?: CallOptions): Promise<Schemas['SignalKeys']> {
    return this.#call({ method: 'GET', path: '/v1/signals/jwks' }, options);
  }

  /** Creates a stream of signals: by default one that is polled, and gets every type of event. */
  createStream(stream: Schemas['StreamRequest'] = {}, options?: CallOptions): Promise<Schemas['Stream']> {
    return this.#change('/v1/signals/streams', stream, options);
  }

  /** @param streamId none: all streams of the caller, as a list */
  getStreams(streamId?: string, options?: CallOptions): Promise<Schemas['StreamOrList']> {
    return this.#call({ method: 'GET', path: '/v1/signals/streams', query: { stream_id: streamId } }, options);
  }

  updateStream(change: Schemas['StreamChange'], options?: CallOptions): Promise<Schemas['Stream']> {
    return this.#call({ method: 'PATCH', path: '/v1/signals/streams', body: change }, options);
  }

  /** What is missing is reset. */
  replaceStream(stream: Schemas['StreamChange'], options?: CallOptions): Promise<Schemas['Stream']> {
    return this.#call({ method: 'PUT', path: '/v1/signals/streams', body: stream }, options);
  }

  async deleteStream(streamId: string, options?: CallOptions): Promise<void> {
    await this.#call({ method: 'DELETE', path: '/v1/signals/streams', query: { stream_id: streamId } }, options);
  }

  getStreamStatus(streamId: string, options?: CallOptions): Promise<Schemas['StreamStatus']> {
    return this.#call({ method: 'GET', path: '/v1/signals/status', query: { stream_id: streamId } }, options);
  }

  setStreamStatus(status: Schemas['StreamStatusRequest'], options?: CallOptions): Promise<Schemas['StreamStatus']> {
    return this.#call({ method: 'POST', path: '/v1/signals/status', body: status }, options);
  }

  async addSubject(subject: Schemas['SubjectRequest'], options?: CallOptions): Promise<void> {
    await this.#call({ method: 'POST', path: '/v1/signals/subjects/add', body: subject }, options);
  }

  async removeSubject(subject: Schemas['SubjectRequest'], options?: CallOptions): Promise<void> {
    await this.#call({ method: 'POST', path: '/v1/signals/subjects/remove', body: subject }, options);
  }

  async verifyStream(request: Schemas['VerificationRequest'], options?: CallOptions): Promise<void> {
    await this.#change('/v1/signals/verification', request, options);
  }

  /**
   * Acknowledges signals and returns the next ones, the oldest first, as SETs (RFC 8417) by their `jti`. Unless
   * `returnImmediately` is true, an answer without signals comes after eight seconds.
   */
  pollSignals(streamId: string, poll: Schemas['PollRequest'] = {}, options?: CallOptions): Promise<Schemas['Poll']> {
    return this.#call({ method: 'POST', path: path`/v1/signals/poll/${streamId}`, body: poll }, options);
  }

  /** Returns who the caller is to the service, and what the access policy grants it. */
  getCaller(options?: CallOptions): Promise<Schemas['Caller']> {
    return this.#call({ method: 'GET', path: '/v1/caller' }, options);
  }

  getOpenApiDocument(options?: CallOptions): Promise<Schemas['OpenApiDocument']> {
    return this.#call({ method: 'GET', path: '/openapi.json' }, options);
  }

  /** Closes the idle connections. Running requests finish. */
  close(): void {
    this.#transport.close();
  }

  #change<Reply>(path: string, body: object, options?: CallOptions): Promise<Reply> {
    return this.#call({ method: 'POST', path, body, repetition: 'when-not-begun' }, options);
  }

  async #call<Reply>(call: Call, options?: CallOptions): Promise<Reply> {
    return (await this.#transport.call({ ...call, signal: options?.signal })) as Reply;
  }
}

function path(parts: TemplateStringsArray, ...values: string[]): string {
  // The URL class removes these two segments, even percent-encoded ones, and the request would go to another path.
  if (values.includes('.') || values.includes('..')) throw new TypeError('a path cannot contain the ids "." and ".."');
  return String.raw({ raw: parts }, ...values.map(encodeURIComponent));
}
