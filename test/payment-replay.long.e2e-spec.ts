import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { format } from 'prettier';
import type { AuthenticationResponseJSON } from '../src/webauthn/assertion.js';
import { Authenticator } from './support/authenticator/authenticator.js';
import { type CredentialKey, generateKey } from './support/authenticator/keys.js';
import type { Credential } from './support/bodies.js';
import { type Ceremonies, requireStatus } from './support/ceremonies.js';
import { PAYMENT, PaymentCeremonies, showPayment } from './support/payment-ceremonies.js';
import { TestService } from './support/service.js';
import { settleLog } from './support/settle-log.js';

const RP = 'login.example.com';
const SAMPLE = 'commands/payment-replay.sample.json';

/** What auth-service keeps of a payment. */
interface Kept {
  request: { rpId: string; userId: string; payment: Record<string, unknown> };
  challenge: string;
  response: AuthenticationResponseJSON;
  auditId: string;
  event?: Record<string, unknown>;
  publicKey?: string;
}

interface Payer {
  readonly passkey: Credential;
  readonly authenticator: Authenticator;
  readonly kept: Kept;
}

let service: TestService;
let login: Ceremonies<string>;
let directory: string;
let paid: Payer;
/** The same payment with all that a replay without a database needs. */
let complete: Kept;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'passkey-replay-'));
  service = await TestService.start();
  login = await service.relyingParty(RP);
  paid = await pay('user-1');
  complete = { ...paid.kept, event: await readEvent(paid.kept.auditId), publicKey: readKey(paid) };
});
afterAll(async () => {
  await service.stop();
  await rm(directory, { recursive: true, force: true });
});

/** A new user pays, and auth-service keeps what a replay needs. */
async function pay(userId: string, browserKey?: CredentialKey): Promise<Payer> {
  const authenticator = new Authenticator();
  const passkey = await login.registered(userId, authenticator);
  const payments = new PaymentCeremonies(service.client, 'auth-service', RP, userId);
  const issued = await payments.begin();
  const response = showPayment(issued, authenticator, { browserKey });
  const { auditId } = requireStatus(await payments.confirm(issued.challengeId, response), 200);
  const request = { rpId: RP, userId, payment: PAYMENT };
  return { passkey, authenticator, kept: { request, challenge: issued.methodData.data.challenge, response, auditId } };
}

const readKey = ({ authenticator }: Payer): string => Buffer.from(authenticator.newest.key.cose).toString('base64url');
const readEvent = async (id: string): Promise<Record<string, unknown>> =>
  requireStatus(await service.client.call('auditor', 'GET', `/v1/audit/events/${id}`), 200);

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Replays from the database. */
const replay = (kept: unknown, ...args: string[]): Promise<Outcome> =>
  run(kept, args, {
    DATABASE_URL: service.database.url,
    PASSKEY_BINDING_KEY_FILE: join(service.dataDir, 'binding.key'),
  });
/** Replays without a database. */
const replayAlone = (kept: unknown, ...args: string[]): Promise<Outcome> => run(kept, args, {});

async function run(kept: unknown, args: readonly string[], env: NodeJS.ProcessEnv): Promise<Outcome> {
  const file = join(directory, 'payment.json');
  await writeFile(file, typeof kept === 'string' ? kept : JSON.stringify(kept));
  return execute([file, ...args], env);
}

function execute(args: readonly string[], env: NodeJS.ProcessEnv): Promise<Outcome> {
  const command = ['--disable-warning=ExperimentalWarning', 'dist/commands/payment-replay.js', ...args];
  return new Promise((resolve) => {
    execFile(process.execPath, command, { env }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr });
    });
  });
}

/** The steps that end so. */
const stepsThat = (outcome: string, { stdout }: Outcome): string[] =>
  stdout.split('\n').flatMap((line) => {
    const [, word, step = ''] = /^(holds|FAILS|open) +([a-z -]+):/.exec(line) ?? [];
    return word === outcome ? [step] : [];
  });

const ALL = [
  ...['event', 'relying party', 'user', 'payment', 'client data', 'authenticator data', 'signature', 'passkey'],
  ...['public key', 'answer', 'browser-bound key'],
];

describe('npm run payment:replay', () => {
  it('shows what the user agreed to, step by step, and says how to prove the event', async () => {
    const outcome = await replay(paid.kept);
    expect(outcome).toMatchObject({ code: 0, stderr: '' });
    expect(stepsThat('holds', outcome)).toEqual(ALL);
    expect(stepsThat('open', outcome)).toEqual(['log']);
    expect(outcome.stdout).toContain(`get /v1/audit/events/${paid.kept.auditId}/proof`);
    expect(outcome.stdout).toMatch(
      /payment\.json holds: the passkey of user-1 at login\.example\.com agreed to pay EUR 12\.50 to Shop, https:\/\/shop\.example on https:\/\/shop\.example\.\n$/,
    );
  });

  it('proves with a proof of the API that the event is in the log', async () => {
    const files = await writeProof(paid.kept.auditId);
    for (const outcome of [await replay(paid.kept, ...files), await replayAlone(complete, ...files)]) {
      expect(outcome.code).toBe(0);
      expect(stepsThat('holds', outcome)).toContain('log');
    }
    const other = await replay((await pay('user-of-another-event')).kept, ...files);
    expect({ ...other, fails: stepsThat('FAILS', other) }).toMatchObject({ code: 1, fails: ['log'] });
  });

  it('needs no database if the file has the event and the key, and says that nothing shows whose they are', async () => {
    const [, sql = ''] = /```sql\n(.*?)```/s.exec(await readFile('docs/payments.md', 'utf8')) ?? [];
    const [{ publicKey } = {}] = await service.sql<{ publicKey?: string }>(sql.replace(':id', '$1'), [paid.passkey.id]);
    const outcome = await replayAlone({ ...complete, publicKey });
    expect(outcome.code).toBe(0);
    expect(stepsThat('open', outcome)).toEqual(['user', 'public key', 'log']);
    expect(outcome.stdout).toMatch(/, if \/publicKey is the key of the passkey and the passkey is the user’s\.\n$/);
    const ofAnother = await replayAlone({ ...complete, request: { ...complete.request, userId: 'eve' } });
    expect(stepsThat('FAILS', ofAnother)).toEqual(['user']);
    const { user, metadata, ...event } = complete.event as { user: { uid_alt: string }; metadata: object };
    const recorded = { ...event, metadata, user: { uid: user.uid_alt } };
    const ofExport = await replayAlone({ ...complete, event: { kind: 'event', leafIndex: 7, event: recorded } });
    expect(ofExport.code).toBe(0);
    expect(stepsThat('open', ofExport)).toEqual(['user', 'public key', 'log']);
  });

  it(`holds ${SAMPLE}, which UPDATE_SAMPLES=1 records again`, async () => {
    if (process.env['UPDATE_SAMPLES'])
      await writeFile(SAMPLE, await format(JSON.stringify(complete), { parser: 'json', printWidth: 120 }));
    expect(await execute([SAMPLE], {})).toMatchObject({ code: 0, stderr: '' });
  });

  it('replays the payment of a passkey that was revoked since', async () => {
    const { passkey, kept } = await pay('user-revoked');
    const path = `/v1/credentials/${passkey.id}/revoke`;
    requireStatus(await service.client.call('auth-service', 'POST', path, { reason: 'lost' }), 200);
    const outcome = await replay(kept);
    expect(outcome.code).toBe(0);
    expect(outcome.stdout).toMatch(/public key: .* revoked since \d{4}-/);
  });

  it('holds the browser-bound key as well, if the payment has one', async () => {
    const { kept } = await pay('user-phone', generateKey('ES256'));
    const outcome = await replay(kept);
    expect({ code: outcome.code, holds: stepsThat('holds', outcome) }).toEqual({ code: 0, holds: ALL });
    expect(outcome.stdout).toMatch(/browser-bound key: it signed the client data, too/);
    const without = await replay({ ...kept, response: { ...kept.response, clientExtensionResults: {} } });
    expect(without.stdout).toMatch(/FAILS {2}answer: SPC §6\.5 does not hold: browser-key-invalid/);
  });

  it('prints lines of JSON', async () => {
    const { stdout } = await replay(paid.kept, '--json');
    const lines = Array.from(stdout.trim().split('\n'), (line) => JSON.parse(line) as object);
    expect(lines[0]).toMatchObject({ step: 'event', outcome: 'holds' });
    expect(lines.at(-1)).toMatchObject({ summary: { code: 0, text: expect.stringContaining(' holds: ') } });
  });
});

/** Alters one character in the middle of base64url. */
const alter = (text: string): string => {
  const at = text.length >> 1;
  return `${text.slice(0, at)}${text[at] === 'A' ? 'B' : 'A'}${text.slice(at + 1)}`;
};
const alterPart =
  (name: 'clientDataJSON' | 'authenticatorData' | 'signature') =>
  (kept: Kept): Kept => {
    const { response } = kept.response;
    return { ...kept, response: { ...kept.response, response: { ...response, [name]: alter(response[name]) } } };
  };
const alterPayment =
  (members: object) =>
  (kept: Kept): Kept => ({ ...kept, request: { ...kept.request, payment: { ...kept.request.payment, ...members } } });
const alterEvent =
  (members: object) =>
  (kept: Kept): Kept => ({
    ...kept,
    event: { ...kept.event, unmapped: { ...(kept.event!['unmapped'] as object), ...members } },
  });

describe('an altered part is named:', () => {
  it.each<[string, (kept: Kept) => Kept, readonly string[], RegExp]>([
    [
      'the amount',
      alterPayment({ total: { currency: 'EUR', value: '1250.00' } }),
      ['payment', 'answer'],
      /SPC §9\.1 step 2\.5\.6 does not hold: payment-mismatch: payment\.total\.value/,
    ],
    [
      'a page that may call, which the answer does not show',
      alterPayment({ callerOrigins: ['https://shop.example', 'https://other.example'] }),
      ['payment'],
      /SHA-256 of \/request\/payment \(RFC 8785\) is \S{43}, and transaction_digest of the event is "/,
    ],
    ['the client data', alterPart('clientDataJSON'), ['client data', 'answer'], /client_data_hash of the event/],
    [
      'the authenticator data',
      alterPart('authenticatorData'),
      ['authenticator data', 'answer'],
      /§7\.2 step 15 does not hold: rp-id-mismatch/,
    ],
    [
      'the signature',
      alterPart('signature'),
      ['signature', 'answer'],
      /§7\.2 step 21 does not hold: signature-invalid/,
    ],
    [
      'the challenge',
      (kept) => ({ ...kept, challenge: alter(kept.challenge) }),
      ['answer'],
      /§7\.2 step 11 does not hold: challenge-mismatch/,
    ],
    [
      'the passkey',
      (kept) => ({ ...kept, response: { ...kept.response, id: alter(kept.response.id) } }),
      ['passkey', 'answer'],
      /\/response\/id is \S+, and credential_id of the event/,
    ],
    [
      'the user',
      (kept) => ({ ...kept, request: { ...kept.request, userId: 'somebody-else' } }),
      ['user'],
      /\/request\/userId is "somebody-else", and the owner of the passkey is "user-1"/,
    ],
    [
      'the relying party',
      (kept) => ({ ...kept, request: { ...kept.request, rpId: 'example.com' } }),
      ['relying party', 'answer'],
      /payment\.rpId/,
    ],
    [
      'the public key',
      (kept) => ({ ...kept, publicKey: Buffer.from(generateKey('ES256').cose).toString('base64url') }),
      ['answer'],
      /signature-invalid/,
    ],
    [
      'the event’s digest',
      (kept) => alterEvent({ transaction_digest: 7 })({ ...kept, event: complete.event! }),
      ['payment'],
      /transaction_digest of the event is absent/,
    ],
    [
      'the browser-bound key of the event',
      (kept) => alterEvent({ browser_key: 'x' })({ ...kept, event: complete.event! }),
      ['browser-bound key'],
      /the answer has absent, and browser_key of the event is "x"/,
    ],
    [
      'an event that is of no payment',
      (kept) => ({
        ...kept,
        event: { ...complete.event, metadata: { uid: kept.auditId, event_code: 'credential.verify' } },
      }),
      ['event'],
      /no payment was verified/,
    ],
    [
      'an event that failed',
      (kept) => ({ ...kept, event: { ...complete.event, status: 'Failure' } }),
      ['event'],
      /with "Failure": no payment was verified/,
    ],
  ])('%s', async (_, change, fails, text) => {
    const outcome = await replay(change(paid.kept));
    expect({ code: outcome.code, fails: stepsThat('FAILS', outcome), stderr: outcome.stderr }).toEqual({
      ...{ code: 1, fails, stderr: '' },
    });
    expect(outcome.stdout).toMatch(text);
    expect(outcome.stdout).toContain(`payment.json does not hold: ${fails.join(', ')}.\n`);
  });

  it('the event of another payment', async () => {
    const { kept } = await pay('user-of-another-payment');
    const outcome = await replay({ ...paid.kept, event: await readEvent(kept.auditId) });
    expect(outcome.code).toBe(1);
    expect(stepsThat('FAILS', outcome)).toEqual(
      expect.arrayContaining(['event', 'user', 'client data', 'signature', 'passkey']),
    );
  });

  it('the row of the passkey, by its seal', async () => {
    const { passkey, kept } = await pay('user-tampered');
    const key = Buffer.from(generateKey('ES256').cose);
    await service.sql('UPDATE credential SET public_key = $1 WHERE id = $2', [key, passkey.id]);
    const outcome = await replay(kept);
    expect({ code: outcome.code, fails: stepsThat('FAILS', outcome) }).toEqual({ code: 1, fails: ['public key'] });
    expect(outcome.stdout).toMatch(/its seal does not hold/);
  });

  it('the row of the event, by its leaf', async () => {
    const { kept } = await pay('user-rewritten');
    await settleLog(service);
    await service.sql(`UPDATE audit_event SET event = replace(event, '"Success"', '"Success" ') WHERE id = $1`, [
      kept.auditId,
    ]);
    const outcome = await replay(kept);
    expect({ code: outcome.code, fails: stepsThat('FAILS', outcome) }).toEqual({ code: 1, fails: ['log'] });
  });
});

describe('what is gone', () => {
  it('is said of an erased user: the rest holds, and a kept key still shows the payment', async () => {
    const payer = await pay('user-erased');
    requireStatus(await service.client.call('operator', 'DELETE', `/v1/users/user-erased?rpId=${RP}`), 204);
    const outcome = await replay(payer.kept);
    expect({ code: outcome.code, fails: stepsThat('FAILS', outcome) }).toEqual({ code: 2, fails: [] });
    expect(outcome.stdout).toMatch(/public key: the user was erased \(event [0-9a-f-]{36}\)/);
    expect(outcome.stdout).toMatch(/is not replayed to its end: the public key is gone\. Nothing contradicts it\.\n$/);
    expect(await replay({ ...payer.kept, publicKey: readKey(payer) })).toMatchObject({ code: 0 });
  });

  it('is said of an erased user whose payment is altered: that it is, because it contradicts the event', async () => {
    const payer = await pay('user-erased-too');
    requireStatus(await service.client.call('operator', 'DELETE', `/v1/users/user-erased-too?rpId=${RP}`), 204);
    const outcome = await replay(alterPart('signature')(payer.kept));
    expect({ code: outcome.code, fails: stepsThat('FAILS', outcome) }).toEqual({ code: 1, fails: ['signature'] });
  });

  it('is not called an erasure if somebody deleted the row', async () => {
    const { passkey, kept } = await pay('user-deleted');
    await service.sql('DELETE FROM credential WHERE id = $1', [passkey.id]);
    const outcome = await replay(kept);
    expect(outcome).toMatchObject({ code: 2, stdout: expect.stringMatching(/was not erased: run npm run reconcile/) });
  });

  it('is said of an event that the database lacks, or has archived', async () => {
    const auditId = '01890000-0000-7000-8000-000000000000';
    expect(await replay({ ...paid.kept, auditId })).toMatchObject({
      ...{ code: 2, stdout: '', stderr: `The database has no event ${auditId}.\n` },
    });
    const { kept } = await pay('user-archived');
    await settleLog(service);
    await service.sql('DELETE FROM audit_event WHERE id = $1', [kept.auditId]);
    const { code, stderr } = await replay(kept);
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: expect.stringMatching(/is leaf \d+ of the log, and no longer/),
    });
  });
});

describe('a file that is none ends with 2 and a sentence for each mistake', () => {
  it.each<[string, (kept: Kept) => unknown, RegExp]>([
    ['no JSON', () => '{', /payment\.json is not JSON\.\n$/],
    ['a list', () => [], /payment\.json is not a JSON object\.\n$/],
    ['an unknown member', (kept) => ({ ...kept, amount: 1 }), /: \/amount: is not a member of the contract\.\n$/],
    [
      'a member twice',
      (kept) => JSON.stringify(kept).replace('{', '{"auditId":"x",'),
      /has "auditId" twice in one object/,
    ],
    ['an inherited name', (kept) => ({ ...kept, constructor: 1 }), /: \/constructor is not a member of a replay\.\n$/],
    ['no challenge', ({ challenge: _, ...kept }) => kept, /: \/challenge: challenge must be methodData/],
    ['a null for the event', (kept) => ({ ...kept, event: null }), /: \/event: event must be an object\.\n$/],
    ['an id that is none', (kept) => ({ ...kept, auditId: 7 }), /: \/auditId: auditId must be .*: a UUID\.\n$/],
    [
      'an amount that is a number',
      alterPayment({ total: { currency: 'EUR', value: 12.5 } }),
      /: \/request\/payment\/total\/value: /,
    ],
    ['an unknown member of the request', alterPayment({ note: 'x' }), /: \/request\/payment\/note: is not a member/],
    [
      'a signature that is no base64url',
      (kept) => ({ ...kept, response: { ...kept.response, response: { ...kept.response.response, signature: '+' } } }),
      /: \/response\/response\/signature: signature must be base64url/,
    ],
    [
      'more than 256 KiB',
      (kept) => ({ ...kept, event: { x: 'x'.repeat(262_144) } }),
      /has more than 262,144 bytes\.\n$/,
    ],
  ])('%s', async (_, change, told) => {
    const { code, stdout, stderr } = await replay(change(paid.kept));
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(told);
  });

  it.each<[string, readonly string[], RegExp]>([
    ['no FILE', [], /^Give one FILE\.\nusage: /],
    ['a proof without a key', ['x', '--proof', 'y'], /^Give --proof and --key together\.\nusage: /],
    ['a FILE that is not there', ['/nowhere/payment.json'], /ENOENT/],
  ])('so does %s', async (_, args, told) => {
    expect(await execute(args, {})).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(told) });
  });

  it('says which settings a replay from the database needs', async () => {
    const { code, stderr } = await replayAlone(paid.kept);
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: expect.stringMatching(/^PASSKEY_BINDING_KEY_FILE is not set/),
    });
    const withKey = await replayAlone({ ...paid.kept, publicKey: complete.publicKey });
    expect(withKey).toMatchObject({ code: 2, stderr: expect.stringMatching(/^DATABASE_URL is not set/) });
  });
});

/** @returns the options that name the proof and the keys */
async function writeProof(id: string): Promise<string[]> {
  await settleLog(service);
  const proof = requireStatus(await service.client.call<object>('auditor', 'GET', `/v1/audit/events/${id}/proof`), 200);
  const key = requireStatus(await service.client.call<string>('auditor', 'GET', '/v1/audit/key'), 200);
  const paths = [join(directory, 'proof.json'), join(directory, 'audit.pub')] as const;
  await Promise.all([writeFile(paths[0], JSON.stringify(proof)), writeFile(paths[1], key)]);
  return ['--proof', paths[0], '--key', paths[1]];
}
