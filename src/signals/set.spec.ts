import { describe, expect, it } from '@jest/globals';
import { buildSetClaims } from './set.js';
import type { CredentialFacts, SignalEntity, SignalKind } from './signal.entity.js';
import { POLL, type StreamEntity } from './stream.entity.js';

const ISSUER = 'https://passkeys.bank.example';
const NOW = new Date('2026-11-30T20:15:07.890Z');
const STREAM: StreamEntity = {
  id: '0199a1b2-0000-7000-8000-000000000001',
  owner: 'spiffe://bank.example/fraud',
  aud: 'https://fraud.bank.example',
  relyingParties: null,
  eventsRequested: [],
  eventsDelivered: [],
  deliveryMethod: POLL,
  endpointUrl: null,
  description: null,
  status: 'enabled',
  statusReason: null,
  createdAt: NOW,
  updatedAt: NOW,
  activeAt: NOW,
  verifiedAt: null,
  droppedAt: null,
  algorithm: 'RS256',
};
const FACTS: CredentialFacts = {
  name: 'YubiKey 5 Series',
  attachment: 'cross-platform',
  aaguid: 'cb69481e-8ff7-4039-93ec-0a2729a154a8',
  initiator: 'admin',
  reason: 'lost on a train',
};
const make = (kind: SignalKind, changed: Partial<SignalEntity> = {}): SignalEntity => ({
  id: 'c1a7b6f0-5b1e-4c1e-9a53-0b9b5d0f3c11',
  streamId: STREAM.id,
  seq: 7,
  kind,
  rpId: 'login.bank.example',
  userId: 'u-1',
  facts: FACTS,
  txn: 'req-1',
  happenedAt: NOW,
  ...changed,
});
const build = (kind: SignalKind, changed?: Partial<SignalEntity>) =>
  buildSetClaims(make(kind, changed), STREAM, ISSUER);

describe('SSF 1.0 §4.1: a security event token', () => {
  it('has the claims of RFC 8417 §2.2, one event, no sub and no exp', () => {
    const { events, ...claims } = build('revoke');
    expect(Object.keys(events)).toHaveLength(1);
    expect(claims).toEqual({
      iss: ISSUER,
      jti: 'c1a7b6f0-5b1e-4c1e-9a53-0b9b5d0f3c11',
      iat: 1_796_069_707,
      aud: STREAM.aud,
      txn: 'req-1',
      sub_id: { format: 'iss_sub', iss: 'https://login.bank.example', sub: 'u-1' },
    });
  });

  it('names the stream as the subject of an event about the stream (§8.1.4.1)', () => {
    const { sub_id, events } = build('verification', { rpId: null, userId: null, facts: { state: 'abc' } });
    expect(sub_id).toEqual({ format: 'opaque', id: STREAM.id });
    expect(events).toEqual({ 'https://schemas.openid.net/secevent/ssf/event-type/verification': { state: 'abc' } });
  });

  it('tells of a new status and its reason (§8.1.5)', () => {
    const facts = { status: 'disabled', reason: 'nobody polled' };
    const { events } = build('stream-updated', { rpId: null, userId: null, facts });
    expect(events).toEqual({ 'https://schemas.openid.net/secevent/ssf/event-type/stream-updated': facts });
  });
});

describe('CAEP 1.0 §3.3: credential-change', () => {
  const type = 'https://schemas.openid.net/secevent/caep/event-type/credential-change';

  it.each(['create', 'update', 'revoke', 'delete'] as const)('tells of the change %s', (kind) => {
    expect(build(kind).events[type]).toEqual({
      change_type: kind,
      credential_type: 'fido2-roaming',
      friendly_name: 'YubiKey 5 Series',
      fido2_aaguid: 'cb69481e-8ff7-4039-93ec-0a2729a154a8',
      event_timestamp: 1_796_069_707,
      initiating_entity: 'admin',
      reason_admin: { en: 'lost on a train' },
    });
  });

  it.each([
    ['platform', 'fido2-platform'],
    ['cross-platform', 'fido2-roaming'],
    [null, 'fido2-roaming'],
  ])('calls a passkey of the attachment %s %s', (attachment, credential_type) => {
    expect(build('create', { facts: { ...FACTS, attachment } }).events[type]).toMatchObject({ credential_type });
  });
});

describe('RISC 1.0 §2.7: credential-compromise', () => {
  it('names the type of the passkey, and no change', () => {
    const event =
      build('compromise').events['https://schemas.openid.net/secevent/risc/event-type/credential-compromise'];
    expect(event).toEqual({
      credential_type: 'fido2-roaming',
      friendly_name: 'YubiKey 5 Series',
      fido2_aaguid: 'cb69481e-8ff7-4039-93ec-0a2729a154a8',
      event_timestamp: 1_796_069_707,
      initiating_entity: 'admin',
      reason_admin: { en: 'lost on a train' },
    });
  });
});
