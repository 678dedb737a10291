import { Readable } from 'node:stream';
import type { PasskeyManager } from '@passkey-manager/client';

const ID = '0195511f-03b2-7c11-8d0e-5b7a90a4c3d2';
const RESPONSE = { id: 'AA', rawId: 'AA', type: 'public-key', clientExtensionResults: {} };
const REGISTRATION = { ...RESPONSE, response: { clientDataJSON: 'AA', attestationObject: 'AA' } };
const AUTHENTICATION = { ...RESPONSE, response: { clientDataJSON: 'AA', authenticatorData: 'AA', signature: 'AA' } };
const PAYMENT = {
  total: { currency: 'EUR', value: '12.50' },
  payeeName: 'Shop',
  instrument: { displayName: 'Card', icon: 'https://login.example.com/card.png' },
  callerOrigins: ['https://shop.example'],
};
const SUBJECT = { format: 'iss_sub', iss: 'https://login.example.com', sub: 'u-1' };
const PARTY = { name: 'Example', origins: ['https://login.example.com'] };

export interface Operation {
  /** Calls the operation of the contract, with a value in each place. */
  readonly call: (client: PasskeyManager, options?: { signal: AbortSignal }) => Promise<unknown>;
  /** The failures after which the client sends the request again. */
  readonly repeatedAfter: readonly Failure[];
}

/**
 * `busy`: the service says that the caller sends too much. `unavailable`: the service says that it changed nothing.
 * `no-answer`: the connection ended after the request.
 */
export type Failure = 'busy' | 'unavailable' | 'no-answer';

const ALWAYS: readonly Failure[] = ['busy', 'unavailable', 'no-answer'];
const ANSWER: readonly Failure[] = ['busy', 'unavailable'];
const CHANGE: readonly Failure[] = ['busy'];

/** Every operation of the contract, by its `operationId`. */
export const OPERATIONS: Readonly<Record<string, Operation>> = {
  issueRegistrationChallenge: {
    call: (client, options) =>
      client.issueRegistrationChallenge(
        { rpId: 'login.example.com', user: { id: 'u-1', name: 'ada', displayName: 'Ada' } },
        options,
      ),
    repeatedAfter: ALWAYS,
  },
  registerCredential: {
    call: (client, options) => client.registerCredential({ challengeId: 'AA', response: REGISTRATION }, options),
    repeatedAfter: ANSWER,
  },
  issueAuthenticationChallenge: {
    call: (client, options) => client.issueAuthenticationChallenge({ rpId: 'login.example.com' }, options),
    repeatedAfter: ALWAYS,
  },
  verifyAuthentication: {
    call: (client, options) => client.verifyAuthentication({ challengeId: 'AA', response: AUTHENTICATION }, options),
    repeatedAfter: ANSWER,
  },
  issueConfirmationChallenge: {
    call: (client, options) =>
      client.issueConfirmationChallenge(
        { rpId: 'login.example.com', userId: 'u-1', transaction: { to: 'x' } },
        options,
      ),
    repeatedAfter: ALWAYS,
  },
  confirmTransaction: {
    call: (client, options) =>
      client.confirmTransaction({ challengeId: 'AA', response: AUTHENTICATION, transaction: { to: 'x' } }, options),
    repeatedAfter: ANSWER,
  },
  issuePaymentChallenge: {
    call: (client, options) =>
      client.issuePaymentChallenge({ rpId: 'login.example.com', userId: 'u-1', payment: PAYMENT }, options),
    repeatedAfter: ALWAYS,
  },
  confirmPayment: {
    call: (client, options) => client.confirmPayment({ challengeId: 'AA', response: AUTHENTICATION }, options),
    repeatedAfter: ANSWER,
  },
  listCredentials: {
    call: (client, options) => client.listCredentials({ rpId: 'login.example.com', limit: 7 }, options),
    repeatedAfter: ALWAYS,
  },
  importCredentials: {
    call: (client, options) =>
      client.importCredentials(Readable.from(['{}\n']), { rpId: 'login.example.com', dryRun: true }, options),
    repeatedAfter: [],
  },
  exportCredentials: {
    call: (client, options) => client.exportCredentials('login.example.com', options),
    repeatedAfter: ALWAYS,
  },
  getCredential: { call: (client, options) => client.getCredential(ID, options), repeatedAfter: ALWAYS },
  renameCredential: {
    call: (client, options) => client.renameCredential(ID, 'Blue key', options),
    repeatedAfter: ALWAYS,
  },
  suspendCredential: {
    call: (client, options) => client.suspendCredential(ID, 'lost', options),
    repeatedAfter: CHANGE,
  },
  reinstateCredential: {
    call: (client, options) => client.reinstateCredential(ID, 'found', options),
    repeatedAfter: CHANGE,
  },
  revokeCredential: {
    call: (client, options) => client.revokeCredential(ID, 'stolen', options),
    repeatedAfter: CHANGE,
  },
  listBrowserKeys: { call: (client, options) => client.listBrowserKeys(ID, options), repeatedAfter: ALWAYS },
  trustBrowserKey: {
    call: (client, options) => client.trustBrowserKey(ID, 'A'.repeat(43), 'called', options),
    repeatedAfter: CHANGE,
  },
  revokeBrowserKey: {
    call: (client, options) => client.revokeBrowserKey(ID, 'A'.repeat(43), 'lost', options),
    repeatedAfter: CHANGE,
  },
  getUserSignals: {
    call: (client, options) => client.getUserSignals('u/1 ?', 'login.example.com', options),
    repeatedAfter: ALWAYS,
  },
  revokeUser: {
    call: (client, options) => client.revokeUser('u/1 ?', 'login.example.com', 'lost', options),
    repeatedAfter: ALWAYS,
  },
  eraseUser: {
    call: (client, options) => client.eraseUser('u/1 ?', 'login.example.com', options),
    repeatedAfter: ALWAYS,
  },
  getStatistics: {
    call: (client, options) => client.getStatistics({ rpId: 'login.example.com' }, options),
    repeatedAfter: ALWAYS,
  },
  putRelyingParty: {
    call: (client, options) => client.putRelyingParty('login.example.com', PARTY, options),
    repeatedAfter: ALWAYS,
  },
  listRelyingParties: { call: (client, options) => client.listRelyingParties(options), repeatedAfter: ALWAYS },
  getRelyingParty: {
    call: (client, options) => client.getRelyingParty('login.example.com', options),
    repeatedAfter: ALWAYS,
  },
  getRelatedOrigins: {
    call: (client, options) => client.getRelatedOrigins('login.example.com', options),
    repeatedAfter: ALWAYS,
  },
  getMigrationProgress: {
    call: (client, options) => client.getMigrationProgress('login.example.com', options),
    repeatedAfter: ALWAYS,
  },
  listApprovals: {
    call: (client, options) => client.listApprovals({ status: 'pending' }, options),
    repeatedAfter: ALWAYS,
  },
  getApproval: { call: (client, options) => client.getApproval(ID, options), repeatedAfter: ALWAYS },
  approveRequest: { call: (client, options) => client.approveRequest(ID, 'change 7', options), repeatedAfter: CHANGE },
  refuseRequest: { call: (client, options) => client.refuseRequest(ID, 'change 7', options), repeatedAfter: CHANGE },
  listAuditEvents: {
    call: (client, options) => client.listAuditEvents({ outcome: 'failure' }, options),
    repeatedAfter: ALWAYS,
  },
  getAuditEvent: { call: (client, options) => client.getAuditEvent(ID, options), repeatedAfter: ALWAYS },
  proveAuditEvent: { call: (client, options) => client.proveAuditEvent(ID, options), repeatedAfter: ALWAYS },
  getAuditCheckpoint: { call: (client, options) => client.getAuditCheckpoint(options), repeatedAfter: ALWAYS },
  getAuditKeys: { call: (client, options) => client.getAuditKeys(options), repeatedAfter: ALWAYS },
  proveAuditConsistency: {
    call: (client, options) => client.proveAuditConsistency({ from: '1', to: '2' }, options),
    repeatedAfter: ALWAYS,
  },
  exportAuditLog: { call: (client, options) => client.exportAuditLog({ from: '0' }, options), repeatedAfter: ALWAYS },
  getReceiptKeys: { call: (client, options) => client.getReceiptKeys(options), repeatedAfter: ALWAYS },
  getTransmitterConfiguration: {
    call: (client, options) => client.getTransmitterConfiguration(options),
    repeatedAfter: ALWAYS,
  },
  createStream: {
    call: (client, options) => client.createStream({ description: 'fraud' }, options),
    repeatedAfter: CHANGE,
  },
  getStreams: { call: (client, options) => client.getStreams(undefined, options), repeatedAfter: ALWAYS },
  updateStream: {
    call: (client, options) => client.updateStream({ stream_id: ID, description: 'fraud' }, options),
    repeatedAfter: ALWAYS,
  },
  replaceStream: { call: (client, options) => client.replaceStream({ stream_id: ID }, options), repeatedAfter: ALWAYS },
  deleteStream: { call: (client, options) => client.deleteStream(ID, options), repeatedAfter: ALWAYS },
  getStreamStatus: { call: (client, options) => client.getStreamStatus(ID, options), repeatedAfter: ALWAYS },
  setStreamStatus: {
    call: (client, options) => client.setStreamStatus({ stream_id: ID, status: 'paused' }, options),
    repeatedAfter: ALWAYS,
  },
  addSubject: {
    call: (client, options) => client.addSubject({ stream_id: ID, subject: SUBJECT }, options),
    repeatedAfter: ALWAYS,
  },
  removeSubject: {
    call: (client, options) => client.removeSubject({ stream_id: ID, subject: SUBJECT }, options),
    repeatedAfter: ALWAYS,
  },
  verifyStream: {
    call: (client, options) => client.verifyStream({ stream_id: ID, state: 'abc' }, options),
    repeatedAfter: CHANGE,
  },
  pollSignals: {
    call: (client, options) => client.pollSignals(ID, { returnImmediately: true }, options),
    repeatedAfter: ALWAYS,
  },
  getSignalKeys: { call: (client, options) => client.getSignalKeys(options), repeatedAfter: ALWAYS },
  getCaller: { call: (client, options) => client.getCaller(options), repeatedAfter: ALWAYS },
  getOpenApiDocument: { call: (client, options) => client.getOpenApiDocument(options), repeatedAfter: ALWAYS },
};
