import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { noAttestation, packedBy } from './support/authenticator/attestation.js';
import {
  type AttestationAuthority,
  createAttestationAuthority,
} from './support/authenticator/attestation-authority.js';
import { Authenticator } from './support/authenticator/authenticator.js';
import type { Model } from './support/authenticator/model.js';
import { makeAuthenticationRejected, makeProblem, makeRegistrationRejected } from './support/bodies.js';
import { type Ceremonies, requireStatus } from './support/ceremonies.js';
import { TestService } from './support/service.js';

const RP_ID = 'login.example.com';
const AAGUID = '6028b017-b1d4-4c02-b4b3-afcdafc96bb2';
const BOUND = { backupEligible: false, backedUp: false };
const POLICY = { userVerification: 'preferred', attestation: { conveyance: 'direct' } };
const PURPOSES = {
  'step-up': { userVerification: 'required', challengeTtlSeconds: 60 },
  look: { userVerification: 'discouraged' },
  'pay/card': { backup: 'device-bound', attestation: 'trusted' },
  bound: { backup: 'device-bound' },
  synced: { backup: 'synced' },
  attested: { attestation: 'trusted' },
};

let directory: string;
let service: TestService;
let login: Ceremonies<string>;
let maker: AttestationAuthority;
let users = 0;
const newUser = (): string => `user-${String((users += 1))}`;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'passkey-roots-'));
  maker = await createAttestationAuthority();
  const file = join(directory, 'roots.pem');
  await writeFile(file, maker.rootPem);
  service = await TestService.start({ env: { PASSKEY_ATTESTATION_ROOTS_FILE: file } });
});
beforeEach(() => setPolicy(PURPOSES));
afterAll(async () => {
  await service.stop();
  await rm(directory, { recursive: true });
});

async function setPolicy(purposes: object, policy: object = POLICY): Promise<void> {
  login = await service.relyingParty(RP_ID, { ...policy, purposes });
}

const makeAttested = async (model: Partial<Model> = {}): Promise<Authenticator> =>
  new Authenticator({
    aaguid: AAGUID,
    attestation: packedBy(await maker.issue({ aaguid: AAGUID })),
    ...BOUND,
    ...model,
  });

const NOT_VERIFIED = { flags: { UV: false } };
const under = (purpose: string, more: object = {}) => ({ challenge: { purpose, ...more }, answer: { purpose } });
const readOptions = async (userId: string, purpose?: string) =>
  requireStatus(await login.requestAuthentication({ userId, purpose }), 201);
const listAllowed = async (userId: string, purpose?: string): Promise<string[]> =>
  ((await readOptions(userId, purpose)).publicKey.allowCredentials ?? []).map(({ id }) => id);

describe('an authentication for a purpose', () => {
  let user: string;
  let phone: Authenticator;
  beforeEach(async () => {
    user = newUser();
    phone = new Authenticator();
    await login.registered(user, phone);
  });

  it('has the purpose’s user verification and time to live in its options, and another has the policy’s', async () => {
    const read = async (purpose?: string) => {
      const { publicKey, expiresAt } = await readOptions(user, purpose);
      const lives = Math.round((Date.parse(expiresAt) - service.clock.now().getTime()) / 1_000);
      return [publicKey.userVerification, publicKey.timeout, lives];
    };
    service.clock.freeze();
    expect(await read('step-up')).toEqual(['required', 60_000, 60]);
    expect(await read('look')).toEqual(['discouraged', 300_000, 300]);
    for (const other of [undefined, 'sign-in', 'constructor', '__proto__']) {
      expect(await read(other)).toEqual(['preferred', 300_000, 300]);
    }
    service.clock.reset();
  });

  it('has them also where no user is named', async () => {
    const { publicKey } = requireStatus(await login.requestAuthentication({ purpose: 'step-up' }), 201);
    expect(publicKey).toMatchObject({ userVerification: 'required', timeout: 60_000, allowCredentials: [] });
  });

  it('is refused without the user verification that the purpose demands, and accepted where the policy demands less', async () => {
    const answer = (purpose?: string) =>
      login.authenticate(phone, { ...(purpose ? under(purpose) : {}), interference: NOT_VERIFIED });
    expect(await answer('step-up')).toMatchObject(makeAuthenticationRejected('user-verification-missing'));
    for (const other of [undefined, 'sign-in', 'look', 'constructor']) expect((await answer(other)).status).toBe(200);
    expect((await login.authenticate(phone, under('step-up'))).status).toBe(200);
  });

  it('may demand less than the policy', async () => {
    await setPolicy(
      { look: { userVerification: 'discouraged', challengeTtlSeconds: 600, backup: 'any' } },
      {
        userVerification: 'required',
        backup: 'device-bound',
      },
    );
    const less = await login.authenticate(phone, { ...under('look'), interference: NOT_VERIFIED });
    expect(less).toMatchObject({ status: 200, body: { purpose: 'look', userVerified: false } });
    expect(await login.authenticate(phone)).toMatchObject(makeAuthenticationRejected('backup-state-denied'));
  });

  it('ends with the purpose’s time to live', async () => {
    const { challengeId, publicKey } = await readOptions(user, 'step-up');
    const response = phone.get(publicKey, login.origin);
    service.clock.advance(61);
    const late = await login.answerAuthentication(challengeId, response, { purpose: 'step-up' });
    service.clock.reset();
    expect(late).toMatchObject(makeProblem(409, 'challenge-spent'));
  });

  it('lists the passkeys of the kind that the purpose demands', async () => {
    const [fob, attested] = [new Authenticator(BOUND), await makeAttested()];
    const [{ credentialId: first }, { credentialId: second }] = [
      await login.registered(user, fob),
      await login.registered(user, attested),
    ];
    const synced = phone.newest.id.toString('base64url');
    expect((await listAllowed(user)).sort()).toEqual([synced, first, second].sort());
    expect((await listAllowed(user, 'step-up')).sort()).toEqual([synced, first, second].sort());
    expect((await listAllowed(user, 'bound')).sort()).toEqual([first, second].sort());
    expect(await listAllowed(user, 'synced')).toEqual([synced]);
    expect(await listAllowed(user, 'attested')).toEqual([second]);
    expect(await listAllowed(user, 'pay/card')).toEqual([second]);
  });

  it.each([
    ['synced', 'backup-state-denied', () => new Authenticator(BOUND)],
    ['bound', 'backup-state-denied', () => new Authenticator()],
    ['attested', 'attestation-untrusted', () => new Authenticator(BOUND)],
    ['pay/card', 'attestation-untrusted', () => new Authenticator(BOUND)],
  ])('of %s is refused with %s if another passkey answers, with or without a user', async (purpose, reason, make) => {
    const [userId, authenticator] = [newUser(), make()];
    await login.registered(userId, authenticator);
    for (const more of [{}, { userId }]) {
      const { challengeId, publicKey } = requireStatus(await login.requestAuthentication({ purpose, ...more }), 201);
      const { newest: passkey } = authenticator;
      const response = authenticator.get(publicKey, login.origin, { passkey });
      const answer = await login.answerAuthentication(challengeId, response, { purpose });
      expect(answer).toMatchObject(makeAuthenticationRejected(reason));
    }
    expect((await login.authenticate(authenticator)).status).toBe(200);
  });

  it('accepts a passkey of the kind that the purpose demands', async () => {
    const [userId, attested] = [newUser(), await makeAttested()];
    await login.registered(userId, attested);
    for (const purpose of ['bound', 'attested', 'pay/card']) {
      const answer = await login.authenticate(attested, under(purpose, { userId }));
      expect(answer).toMatchObject({ status: 200, body: { purpose } });
    }
    expect(await login.authenticate(phone, under('synced', { userId: user }))).toMatchObject({ status: 200 });
  });

  it('follows the policy at the time of the answer', async () => {
    const begin = async () => {
      const { challengeId, publicKey } = await readOptions(user, 'later');
      const response = phone.get(publicKey, login.origin, NOT_VERIFIED);
      return () => login.answerAuthentication(challengeId, response, { purpose: 'later' });
    };
    const early = await begin();
    await setPolicy({ later: { userVerification: 'required' } });
    expect(await early()).toMatchObject(makeAuthenticationRejected('user-verification-missing'));
    const second = await begin();
    await setPolicy({ later: { backup: 'device-bound' } });
    expect(await second()).toMatchObject(makeAuthenticationRejected('backup-state-denied'));
    await setPolicy({ later: { userVerification: 'required' } });
    const third = await begin();
    await setPolicy({});
    expect((await third()).status).toBe(200);
  });
});

describe('the decoys of a purpose that demands a kind of passkey', () => {
  it('stand for a user without such a passkey, and for one without any, the same each time', async () => {
    const user = newUser();
    await login.registered(user, new Authenticator());
    for (const userId of [user, newUser()]) {
      const decoys = await listAllowed(userId, 'bound');
      expect(decoys.length).toBeGreaterThan(0);
      expect(await listAllowed(userId, 'bound')).toEqual(decoys);
    }
    expect(await listAllowed(user, 'bound')).not.toContain((await listAllowed(user))[0]);
  });

  it('agree with those of no purpose as often as the lists of users do', async () => {
    const shop = await service.relyingParty('shop.example.org', { purposes: PURPOSES });
    const list = async (userId: string, purpose?: string) =>
      (requireStatus(await shop.requestAuthentication({ userId, purpose }), 201).publicKey.allowCredentials ?? []).map(
        ({ id }) => id,
      );
    const registered = Array.from({ length: 8 }, (_, n) => `holder-${String(n)}`);
    for (const [n, userId] of registered.entries()) {
      await shop.registered(userId, new Authenticator(n < 4 ? BOUND : {}));
    }
    const countKept = async (names: string[]) => {
      let kept = 0;
      for (const name of names) if ((await list(name))[0] === (await list(name, 'bound'))[0]) kept += 1;
      return kept;
    };
    expect(await countKept(registered)).toBe(4);
    const strangers = await countKept(Array.from({ length: 40 }, (_, n) => `stranger-${String(n)}`));
    expect(strangers).toBeGreaterThan(5);
    expect(strangers).toBeLessThan(35);
  });
});

describe('a registration for a purpose', () => {
  it('has the purpose’s user verification and time to live in its options, and another has the policy’s', async () => {
    const read = async (purpose?: string) => {
      const { publicKey } = requireStatus(await login.requestRegistration(newUser(), { purpose }), 201);
      return [publicKey.authenticatorSelection?.userVerification, publicKey.timeout];
    };
    expect(await read('step-up')).toEqual(['required', 60_000]);
    expect(await read('look')).toEqual(['discouraged', 300_000]);
    expect(await read('manage-passkeys')).toEqual(['preferred', 300_000]);
    expect(await read()).toEqual(['preferred', 300_000]);
  });

  it.each<[string, string, Partial<Model>, object]>([
    ['step-up', 'user-verification-missing', {}, NOT_VERIFIED],
    ['bound', 'backup-state-denied', {}, {}],
    ['bound', 'attestation-untrusted', BOUND, {}],
    ['synced', 'backup-state-denied', BOUND, {}],
    ['attested', 'attestation-untrusted', BOUND, {}],
    ['attested', 'attestation-untrusted', {}, { attestation: noAttestation }],
  ])('of %s is refused with %s: %j', async (purpose, reason, model, interference) => {
    const options = { challenge: { purpose }, interference };
    const answer = await login.register(newUser(), new Authenticator(model), options);
    expect(answer).toMatchObject(makeRegistrationRejected(reason));
    expect((await login.register(newUser(), new Authenticator(model), { interference })).status).toBe(201);
  });

  it('accepts what the purpose demands', async () => {
    const challenge = { purpose: 'pay/card' };
    expect(await login.register(newUser(), await makeAttested(), { challenge })).toMatchObject({ status: 201 });
  });

  it('follows the policy at the time of the answer', async () => {
    const phone = new Authenticator();
    const { challengeId, publicKey } = requireStatus(
      await login.requestRegistration(newUser(), { purpose: 'add' }),
      201,
    );
    const response = phone.create(publicKey, login.origin);
    await setPolicy({ add: { backup: 'device-bound' } });
    const refused = await login.answerRegistration(challengeId, response);
    expect(refused).toMatchObject(makeRegistrationRejected('backup-state-denied'));
  });
});
