import { createPublicKey, generateKeyPairSync, type KeyObject, verify } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createVerifier } from 'fast-jwt';
import { calculateJwkThumbprint, exportJWK } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { AuditLog } from './support/audit-log.js';
import { packedBy } from './support/authenticator/attestation.js';
import { createAttestationAuthority } from './support/authenticator/attestation-authority.js';
import { Authenticator } from './support/authenticator/authenticator.js';
import { makeProblem, type Verification } from './support/bodies.js';
import { type AuthenticationOptions, type Ceremonies, requireStatus } from './support/ceremonies.js';
import type { Answer } from './support/client.js';
import { dayFromNow, MetadataAuthority } from './support/metadata-blob.js';
import { TestService } from './support/service.js';
import { until } from './support/until.js';

const AUDIENCE = 'https://shop.example';
const AAGUID = '6028b017-b1d4-4c02-b4b3-afcdafc96bb2';

interface Jwk {
  readonly kid: string;
  readonly alg: string;
}
type Claims = Record<string, unknown>;

let directory: string;
let service: TestService;
let login: Ceremonies<string>;
let audit: AuditLog;
const synced = new Authenticator();
const deviceBound = new Authenticator({ aaguid: AAGUID, backupEligible: false, backedUp: false });
let attested: Authenticator;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'passkey-receipts-'));
  const [fido, maker] = await Promise.all([MetadataAuthority.create(), createAttestationAuthority()]);
  const attestation = packedBy(await maker.issue({ aaguid: AAGUID }));
  attested = new Authenticator({ ...deviceBound.model, attestation });
  const entry = {
    aaguid: AAGUID,
    metadataStatement: {
      description: 'Example Key',
      attestationRootCertificates: [maker.rootPem.replaceAll(/-----[^-]+-----|\s/g, '')],
    },
    statusReports: [{ status: 'FIDO_CERTIFIED_L2', effectiveDate: dayFromNow(-9) }],
  };
  const file = join(directory, 'blob.jwt');
  writeFileSync(file, (await fido.signer()).blob({ nextUpdate: dayFromNow(30), entries: [entry] }));
  service = await TestService.start({
    metadataRoots: [fido.rootPem],
    env: { PASSKEY_MDS_BLOB_FILE: file, PASSKEY_DEPLOYMENT_NAME: 'bank' },
  });
  login = await service.relyingParty('login.example.com', {
    userVerification: 'preferred',
    attestation: { conveyance: 'direct', trust: 'any' },
  });
  audit = new AuditLog(service.client);
  await login.registered('ada', synced);
  await login.registered('grace', deviceBound);
  await login.registered('joan', attested);
});
afterAll(async () => {
  await service.stop();
  rmSync(directory, { recursive: true });
});

const signIn = (authenticator: Authenticator, options: AuthenticationOptions = {}): Promise<Answer<Verification>> =>
  login.authenticate(authenticator, { ...options, answer: { receipt: { audience: AUDIENCE }, ...options.answer } });

async function receive(authenticator: Authenticator, options: AuthenticationOptions = {}): Promise<Verification> {
  return requireStatus(await signIn(authenticator, options), 200);
}

const getKeys = (headers = {}): Promise<Answer<{ keys: Jwk[] }>> =>
  service.client.call('operator', 'GET', '/v1/receipts/jwks', undefined, headers);

/** Reads a part of a JWS. */
const decode = (receipt: string | undefined, part: 0 | 1): Claims =>
  JSON.parse(Buffer.from(receipt!.split('.')[part]!, 'base64url').toString()) as Claims;
const claimsOf = ({ receipt }: Verification): Claims => decode(receipt, 1);

/** Verifies a signature without any JOSE library (RFC 7515 §5.2). */
function isSigned(receipt: string, key: KeyObject): boolean {
  const [signed, signature] = [receipt.slice(0, receipt.lastIndexOf('.')), receipt.split('.')[2]!];
  const hash = key.asymmetricKeyType === 'ec' ? 'sha256' : null;
  return verify(hash, Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' }, Buffer.from(signature, 'base64url'));
}

const toKey = (jwk: Jwk): KeyObject => createPublicKey({ key: jwk, format: 'jwk' });

describe('a receipt', () => {
  it('verifies in another JOSE library, by the published keys', async () => {
    const before = await service.readMetric('passkey_receipts_total');
    const { receipt } = await receive(synced);
    expect(await service.readMetric('passkey_receipts_total')).toBe(before + 1);
    const { keys } = requireStatus(await getKeys(), 200);
    const jwk = keys.find(({ kid }) => kid === decode(receipt, 0)['kid'])!;
    const options = {
      key: toKey(jwk).export({ type: 'spki', format: 'pem' }),
      algorithms: ['ES256' as const],
      allowedAud: AUDIENCE,
      allowedIss: 'passkey-manager/bank',
      clockTimestamp: service.clock.now().getTime(),
    };
    expect(createVerifier({ ...options, checkTyp: 'passkey-receipt+jwt' })(receipt!)).toMatchObject({ sub: 'ada' });
    expect(() => createVerifier({ ...options, allowedAud: 'https://evil.example' })(receipt!) as unknown).toThrow();
    expect(() => createVerifier({ ...options, clockTimestamp: Date.now() + 61_000 })(receipt!) as unknown).toThrow();
  });

  it('says who signed in where, for what, and how', async () => {
    const { receipt, auditId, verifiedAt } = await receive(synced, {
      challenge: { purpose: 'sign-in' },
      answer: { purpose: 'sign-in' },
    });
    const { keys } = requireStatus(await getKeys(), 200);
    expect(decode(receipt, 0)).toEqual({ typ: 'passkey-receipt+jwt', alg: 'ES256', kid: keys[0]!.kid });
    const { iat, ...claims } = decode(receipt, 1);
    expect(claims).toEqual({
      iss: 'passkey-manager/bank',
      aud: AUDIENCE,
      sub: 'ada',
      jti: auditId,
      auth_time: Math.floor(Date.parse(verifiedAt) / 1_000),
      exp: Number(iat) + 60,
      ceremony: 'authentication',
      rp_id: 'login.example.com',
      purpose: 'sign-in',
      acr: 'urn:passkey-manager:acr:synced',
      amr: ['pop', 'swk', 'user', 'mfa'],
      uv: true,
      be: true,
      bs: true,
    });
    expect(Math.abs(Number(iat) - Date.parse(verifiedAt) / 1_000)).toBeLessThan(5);
  });

  it('names the model and its certification only if a trusted attestation proves them', async () => {
    expect(claimsOf(await receive(attested))).toMatchObject({
      acr: 'urn:passkey-manager:acr:attested',
      amr: ['pop', 'hwk', 'user', 'mfa'],
      authenticator: { aaguid: AAGUID, name: 'Example Key', certification: 'FIDO_CERTIFIED_L2' },
      be: false,
      bs: false,
    });
    const claims = claimsOf(await receive(deviceBound));
    expect(claims).toMatchObject({ acr: 'urn:passkey-manager:acr:device-bound', amr: ['pop', 'hwk', 'user', 'mfa'] });
    expect(claims).not.toHaveProperty('authenticator');
  });

  it('says no more than presence if the authenticator did not verify the user', async () => {
    const claims = claimsOf(await receive(attested, { interference: { flags: { UV: false } } }));
    expect(claims).toMatchObject({ acr: 'urn:passkey-manager:acr:presence', amr: ['pop', 'hwk', 'user'], uv: false });
  });

  it('is not made unless the caller asks, and then the event names neither audience nor key', async () => {
    const verified = await login.authenticated(synced);
    expect(verified).not.toHaveProperty('receipt');
    const [event] = await audit.events({ type: 'credential.verify', limit: 1 });
    expect(event!.metadata.uid).toBe(verified.auditId);
    expect(Object.keys(event!.unmapped!).filter((name) => name.startsWith('receipt'))).toEqual([]);
  });

  it('has an event that names its audience and its key', async () => {
    const { receipt, auditId } = await receive(synced);
    const [event] = await audit.events({ type: 'credential.verify', limit: 1 });
    expect(event).toMatchObject({
      metadata: { uid: auditId },
      unmapped: { receipt_audience: AUDIENCE, receipt_kid: decode(receipt, 0)['kid'] },
    });
  });
});

describe('a receipt for an audience that the access policy does not grant', () => {
  it('is denied, and the challenge is not spent', async () => {
    const challenge = requireStatus(await login.requestAuthentication(), 201);
    const response = synced.get(challenge.publicKey, login.origin);
    for (const audience of ['https://shop.example/', 'https://SHOP.example', 'https://evil.example']) {
      const answer = await login.answerAuthentication(challenge.challengeId, response, { receipt: { audience } });
      const detail = 'the caller may not ask for receipts for this audience';
      expect(answer).toMatchObject(makeProblem(403, 'permission-denied', { detail }));
    }
    const [event] = await audit.events({ type: 'access.denied', limit: 1 });
    expect(event).toMatchObject({
      status_code: 'permission-denied',
      unmapped: { permission: 'passkeys:authenticate' },
    });
    const answer = await login.answerAuthentication(challenge.challengeId, response, {
      receipt: { audience: AUDIENCE },
    });
    expect(answer).toMatchObject({ status: 200, body: { receipt: expect.any(String) } });
  });
});

describe('a request for a receipt is malformed', () => {
  it.each<[string, unknown, string]>([
    ['without an audience', {}, '/receipt/audience'],
    ['with an empty audience', { audience: '' }, '/receipt/audience'],
    ['with a wildcard', { audience: '*' }, '/receipt/audience'],
    ['with a space', { audience: 'a shop' }, '/receipt/audience'],
    ['with several audiences', { audience: [AUDIENCE] }, '/receipt/audience'],
    ['with 257 characters', { audience: 'a'.repeat(257) }, '/receipt/audience'],
    ['with an unknown member', { audience: AUDIENCE, lifetime: 3_600 }, '/receipt/lifetime'],
    ['that is true', true, '/receipt'],
    ['that is a text', AUDIENCE, '/receipt'],
    ['that is a list', [{ audience: AUDIENCE }], '/receipt'],
    ['that is null', null, '/receipt'],
  ])('%s', async (_, receipt, pointer) => {
    const challenge = requireStatus(await login.requestAuthentication(), 201);
    const response = synced.get(challenge.publicKey, login.origin);
    const answer = await login.answerAuthentication(challenge.challengeId, response, { receipt });
    expect(answer).toMatchObject(makeProblem(400, 'request-malformed'));
    expect(answer.body).toMatchObject({ invalid: [{ pointer }] });
    expect((await login.answerAuthentication(challenge.challengeId, response)).status).toBe(200);
  });
});

describe('the keys of receipts', () => {
  it('may be kept for five minutes, and are not sent again while they are the same', async () => {
    const answer = await getKeys();
    expect(answer.headers).toMatchObject({
      'content-type': expect.stringMatching(/^application\/jwk-set\+json/),
      'cache-control': 'public, max-age=300',
      etag: expect.stringMatching(/^"[\w-]+"$/),
    });
    const { etag } = answer.headers;
    for (const known of [etag, `W/${etag!}`, `"other", ${etag!}`, '*'])
      expect(await getKeys({ 'if-none-match': known })).toMatchObject({ status: 304, body: undefined });
    expect(await getKeys({ 'if-none-match': '"other"' })).toMatchObject({ status: 200, body: answer.body });
  });

  it('have no private part, and are named by their thumbprints', async () => {
    const [jwk, ...others] = requireStatus(await getKeys(), 200).keys;
    expect(others).toEqual([]);
    expect(Object.keys(jwk!).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y']);
    expect(jwk!.kid).toBe(await calculateJwkThumbprint(jwk as never));
  });

  it('are announced before they sign, and still verify when the next one signs', async () => {
    const file = join(service.dataDir, 'receipt.key');
    const old = readFileSync(file, 'utf8');
    const { privateKey } = generateKeyPairSync('ed25519');
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' });
    const kid = await calculateJwkThumbprint(await exportJWK(createPublicKey(privateKey)));
    const publish = async (content: string, kids: readonly string[]): Promise<void> => {
      writeFileSync(file, content);
      const shown = async (): Promise<string> => (await getKeys()).body.keys.map((key) => key.kid).join();
      await until(async () => (await shown()) === kids.join());
    };
    const before = (await receive(synced)).receipt!;
    const { kid: oldKid } = decode(before, 0) as unknown as Jwk;

    await publish(old + pem, [oldKid, kid]);
    expect(decode((await receive(synced)).receipt, 0)).toMatchObject({ kid: oldKid });
    await publish(pem + old, [kid, oldKid]);
    const after = (await receive(synced)).receipt!;
    expect(decode(after, 0)).toEqual({ typ: 'passkey-receipt+jwt', alg: 'Ed25519', kid });
    const [first, second] = requireStatus(await getKeys(), 200).keys as [Jwk, Jwk];
    expect([isSigned(after, toKey(first)), isSigned(before, toKey(second))]).toEqual([true, true]);
    expect([isSigned(after.replace('.', '.A'), toKey(first))]).toEqual([false]);
    await publish(pem, [kid]);
    await publish(old, [oldKid]);
    const reloads = await audit.events({ type: 'receipt-keys.reload' });
    expect(reloads.map(({ unmapped }) => unmapped)).toMatchObject([
      { signs: oldKid, formerly_signed: kid, added: [oldKid], removed: [kid] },
      { signs: kid, formerly_signed: kid, added: [], removed: [oldKid] },
      { signs: kid, formerly_signed: oldKid, added: [], removed: [] },
      { signs: oldKid, formerly_signed: oldKid, added: [kid], removed: [] },
    ]);
  });
});

describe('a service without PASSKEY_RECEIPT_KEY_FILE', () => {
  let without: TestService;
  beforeAll(async () => {
    without = await TestService.start({ config: { receiptKeyFile: undefined } });
    await without.relyingParty('login.example.com');
  });
  afterAll(() => without.stop());

  it('refuses to make a receipt, and does not spend the challenge', async () => {
    const ceremonies = without.ceremonies('login.example.com');
    const authenticator = new Authenticator();
    await ceremonies.registered('ada', authenticator);
    const challenge = requireStatus(await ceremonies.requestAuthentication(), 201);
    const response = authenticator.get(challenge.publicKey, ceremonies.origin);
    const receipt = { audience: AUDIENCE };
    const answer = await ceremonies.answerAuthentication(challenge.challengeId, response, { receipt });
    expect(answer).toMatchObject(makeProblem(422, 'receipts-not-configured'));
    const [event] = await new AuditLog(without.client).events({ type: 'access.denied', limit: 1 });
    expect(event).toMatchObject({ status_code: 'receipts-not-configured' });
    expect((await ceremonies.answerAuthentication(challenge.challengeId, response)).status).toBe(200);
  });

  it('publishes no key', async () => {
    const answer = await without.client.call('auth-service', 'GET', '/v1/receipts/jwks');
    expect(answer).toMatchObject({ status: 200, body: { keys: [] } });
  });
});
