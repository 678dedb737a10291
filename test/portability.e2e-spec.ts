import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { verifyCredentialExport } from '../src/portability/export-verifier.js';
import { parseVerifierKeys } from '../src/tlog/keys.js';
import { Authenticator } from './support/authenticator/authenticator.js';
import { generateKey } from './support/authenticator/keys.js';
import { type Credential, makeAuthenticationRejected, type Page } from './support/bodies.js';
import { type Ceremonies, requireStatus } from './support/ceremonies.js';
import { importLines, movePasskey } from './support/imports.js';
import { PaymentCeremonies } from './support/payment-ceremonies.js';
import { TestService } from './support/service.js';

const RP_ID = 'login.example.com';
const POLICY = {
  browserKeys: { unknown: 'step-up' },
  purposes: { 'step-up': { maxAgeSeconds: 900 } },
};
const STEP_UP = { challenge: { purpose: 'step-up' }, answer: { purpose: 'step-up' } };
const NAMES = ['plain', 'a "quoted\\" name', 'Ключ\u2028日本 \u{1f511}', "O'Brien <b>&amp;"];

/** The deployment that is left, and the fresh one. */
let old: TestService;
let fresh: TestService;
let login: Ceremonies<string>;
let moved: Ceremonies<string>;
/** By what is special about their passkey. */
const authenticators = new Map<string, Authenticator>();
let lines: string[];

const newAuthenticator = (what: string): Authenticator => {
  const authenticator = new Authenticator();
  authenticators.set(what, authenticator);
  return authenticator;
};
const exportFrom = async (service: TestService): Promise<string[]> =>
  requireStatus(await service.client.call<string>('operator', 'GET', `/v1/credentials/export?rpId=${RP_ID}`), 200)
    .trimEnd()
    .split('\n');
const toText = (some: readonly string[]): string => some.map((line) => `${line}\n`).join('');
const list = async (service: TestService): Promise<Credential[]> =>
  requireStatus(
    await service.client.call<Page<Credential>>('operator', 'GET', `/v1/credentials?rpId=${RP_ID}&limit=200`),
    200,
  ).data;
const passkeysOf = (exported: readonly string[]): Record<string, unknown>[] =>
  exported.slice(1, -1).map((line) => JSON.parse(line) as Record<string, unknown>);

beforeAll(async () => {
  old = await TestService.start();
  fresh = await TestService.start({ env: { PASSKEY_DEPLOYMENT_NAME: 'fresh' } });
  login = await old.relyingParty(RP_ID, POLICY);
  moved = await fresh.relyingParty(RP_ID, POLICY);
  for (const name of NAMES) await login.registered(`user ${name}`, newAuthenticator(name), { answer: { name } });
  await login.authenticated(authenticators.get('plain')!);
  for (const [status, path] of [
    ['suspended', 'suspend'],
    ['revoked', 'revoke'],
  ] as const) {
    const { id } = await login.registered(status, newAuthenticator(status));
    const answer = await old.client.call('auth-service', 'POST', `/v1/credentials/${id}/${path}`, {
      reason: `${path} "it"`,
    });
    requireStatus(answer, 200);
  }
  await login.registered('payer', newAuthenticator('payer'));
  const payments = new PaymentCeremonies(old.client, 'auth-service', RP_ID, 'payer');
  requireStatus(await payments.pay(authenticators.get('payer')!, generateKey('ES256')), 200);
  await importLines(old.client, RP_ID, [
    movePasskey(newAuthenticator('short handle'), RP_ID, 'imported-1', {}, Buffer.of(7)),
    movePasskey(newAuthenticator('long handle'), RP_ID, 'imported-2', { backupEligible: null }, Buffer.alloc(64, 9)),
    movePasskey(newAuthenticator('own handle'), RP_ID, 'imported-2', {}, Buffer.from('other')),
    movePasskey(newAuthenticator('unknown handle'), RP_ID, 'imported-3', { userHandle: null, backupEligible: null }),
  ]);
  lines = await exportFrom(old);
});
afterAll(() => Promise.all([old.stop(), fresh.stop()]));

describe('passkeys that move from one deployment to a fresh one', () => {
  it('are all imported, and the import says that the export is whole', async () => {
    const { verdicts, summary } = await importLines(fresh.client, RP_ID, toText(lines));
    expect(verdicts.map(({ verdict }) => verdict)).toEqual(verdicts.map(() => 'imported'));
    expect(summary).toMatchObject({ complete: true, counts: { imported: 11 }, export: { state: 'whole' } });
  });

  it('are shown as before', async () => {
    expect(await list(fresh)).toEqual(await list(old));
  });

  it('are exported as before, but for the name of the deployment', async () => {
    const again = await exportFrom(fresh);
    const withoutSource = (line: Record<string, unknown>): object => ({ ...line, source: '' });
    expect(passkeysOf(again).map(withoutSource)).toEqual(passkeysOf(lines).map(withoutSource));
    const keys = await fresh.client.call<string>('auditor', 'GET', '/v1/audit/key');
    const verified = await verifyCredentialExport(Readable.from([toText(again)]), parseVerifierKeys(keys.body));
    expect(verified).toMatchObject({ end: { count: 11, leftOut: 0 }, header: { deployment: 'passkey-manager/fresh' } });
    expect(passkeysOf(lines).find(({ userId }) => userId === 'payer')).toMatchObject({
      browserKeys: [{ state: 'untrusted' }],
    });
    expect(passkeysOf(lines).find(({ name }) => name === 'plain')).toHaveProperty('lastSignInAt');
  });

  it('exist when they come again', async () => {
    const { verdicts } = await importLines(fresh.client, RP_ID, toText(lines));
    expect(new Set(verdicts.map(({ verdict }) => verdict))).toEqual(new Set(['exists']));
  });

  it('keep the age of the last sign-in', async () => {
    const userId = `user ${NAMES[0]!}`;
    const authenticator = authenticators.get('plain')!;
    const { verified } = await moved.authenticated(authenticator, {
      ...STEP_UP,
      challenge: { userId, ...STEP_UP.challenge },
    });
    expect(verified).toBe(true);
  });

  it.each([...NAMES, 'payer', 'short handle', 'long handle', 'own handle', 'unknown handle'])(
    'sign in at the new place: %s',
    async (what) => {
      const { risks, credential } = await moved.authenticated(authenticators.get(what)!);
      expect(risks).toEqual([]);
      expect(credential.backupEligible).toBe(true);
    },
  );

  it('keep what the first sign-in there has told', async () => {
    const [unknown] = passkeysOf(await exportFrom(fresh)).filter(({ userId }) => userId === 'imported-3');
    expect(unknown).toMatchObject({ backupEligible: true });
    const [passkey] = authenticators.get('unknown handle')!.passkeys;
    expect(unknown!['userHandle']).toBe(passkey!.userHandle.toString('base64url'));
  });

  it.each([
    ['suspended', 'credential-suspended'],
    ['revoked', 'credential-revoked'],
  ])('stay %s', async (what, reason) => {
    expect(await moved.authenticate(authenticators.get(what)!)).toMatchObject(makeAuthenticationRejected(reason));
  });
});

describe('an import of an export that is not whole', () => {
  const dryRun = (text: string, query = {}) => importLines(fresh.client, RP_ID, text, { dryRun: 'true', ...query });

  it.each<[string, (whole: readonly string[]) => readonly string[], string, string]>([
    ['without its last line', (whole) => whole.slice(0, -1), 'cut-off', 'the last line of the export is missing'],
    ['without a passkey', (whole) => whole.toSpliced(2, 1), 'altered', 'line 12: count is 11, but 10'],
    [
      'with an altered one',
      (whole) => whole.with(3, whole[3]!.replace('user', 'usér')),
      'altered',
      'line 13: the lines before',
    ],
    ['without its first line', (whole) => whole.slice(1), 'altered', 'line 1: is not the first line of an export'],
    ['with a line after its end', (whole) => [...whole, whole[1]!], 'altered', 'line 14: nothing may follow'],
  ])('says so: %s', async (_, change, state, detail) => {
    const { summary } = await dryRun(toText(change(lines)));
    expect(summary.export).toMatchObject({ state, detail: expect.stringContaining(detail) });
  });

  it('says nothing of it where it goes on in the middle, or is no export', async () => {
    const { summary } = await dryRun(toText(lines.slice(5)), { firstLine: '6' });
    expect(summary).not.toHaveProperty('export');
    expect((await dryRun(toText(lines.slice(1, 3)))).summary).not.toHaveProperty('export');
  });
});
