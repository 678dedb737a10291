import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Authenticator } from './support/authenticator/authenticator.js';
import { AuditLog } from './support/audit-log.js';
import { makeAuthenticationRejected, type Credential } from './support/bodies.js';
import type { Ceremonies } from './support/ceremonies.js';
import { encodeLines, importLines, movePasskey, type ImportAnswer } from './support/imports.js';
import { TestService } from './support/service.js';
import { until } from './support/until.js';

const RP = 'login.example.com';
const UNKNOWN = '00000000-0000-0000-0000-000000000000';

let service: TestService;
let login: Ceremonies<string>;
let authenticator: Authenticator;
let user: string;
let users = 0;

beforeAll(async () => {
  service = await TestService.start();
  login = await service.relyingParty(RP, { maxCredentialsPerUser: 3 });
});
afterAll(() => service.stop());
beforeEach(() => {
  authenticator = new Authenticator();
  user = `user-${String((users += 1))}`;
});

const send = (lines: Parameters<typeof importLines>[2], query?: Record<string, string>): Promise<ImportAnswer> =>
  importLines(service.client, RP, lines, query);
const move = (changed?: Parameters<typeof movePasskey>[3]): ReturnType<typeof movePasskey> =>
  movePasskey(authenticator, RP, user, changed);
const verdictsOf = ({ verdicts }: ImportAnswer): unknown[] =>
  verdicts.map(({ verdict, problem }) => {
    const pointers = problem?.invalid?.map(({ pointer }) => pointer);
    return pointers ? [verdict, ...pointers] : verdict;
  });
async function find(userId = user): Promise<Credential[]> {
  const path = `/v1/credentials?rpId=${RP}&userId=${userId}`;
  return (await service.client.call<{ data: Credential[] }>('operator', 'GET', path)).body.data;
}
const importEvents = (): Promise<unknown[]> => new AuditLog(service.client).events({ type: 'credential.import' });

describe('an import', () => {
  it('stores passkeys that sign in as if they had been registered here, by the handles that their authenticators hold', async () => {
    const lines = [move(), move()];
    const answer = await send(lines);
    expect(answer).toEqual({
      verdicts: lines.map(({ credentialId }, index) => ({ line: index + 1, credentialId, verdict: 'imported' })),
      summary: {
        counts: { imported: 2, exists: 0, conflict: 0, refused: 0, malformed: 0, unavailable: 0 },
        nextLine: 3,
        dryRun: false,
        complete: true,
      },
    });
    for (const passkey of authenticator.passkeys) {
      const verified = await login.authenticated(authenticator, { interference: { passkey } });
      expect(verified).toMatchObject({ userId: user, risks: [] });
      expect(verified.credential).toMatchObject({
        backupEligible: true,
        aaguid: UNKNOWN,
        name: 'Passkey',
        createdBy: 'spiffe://passkey-manager.local/operator',
      });
    }
    // Another service made a handle for each registration; the wrong one of two is still wrong.
    const [first, second] = authenticator.passkeys;
    const crossed = await login.authenticate(authenticator, {
      interference: { passkey: first!, userHandle: second!.userHandle },
    });
    expect(crossed).toMatchObject(makeAuthenticationRejected('user-handle-mismatch'));
  });

  it('keeps everything that an export knows', async () => {
    const line = move({
      id: '0195511f-03b2-7c11-8d0e-5b7a90a4c3d2',
      status: 'suspended',
      statusReason: 'lost',
      statusChangedAt: '2026-03-01T00:00:00.000Z',
      signCount: 12,
      backedUp: true,
      transports: ['internal'],
      aaguid: 'ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4',
      name: 'Ada’s laptop',
      createdAt: '2026-01-01T00:00:00.000Z',
      lastUsedAt: '2026-02-01T00:00:00.000Z',
      discoverable: true,
      attachment: 'platform',
      userVerified: true,
      attestation: { format: 'packed', trust: 'trusted' },
      createdBy: 'spiffe://bank.example/auth-service',
    });
    await send([line]);
    const { userHandle, publicKey, source, ...kept } = line;
    expect(await service.readCredential('0195511f-03b2-7c11-8d0e-5b7a90a4c3d2')).toMatchObject({ ...kept, rpId: RP });
    const [event] = await importEvents();
    expect(event).toMatchObject({
      type_uid: 300110,
      unmapped: {
        source: 'old service',
        status: 'suspended',
        attestation_claimed: 'packed/trusted',
        user_handle: 'of the user',
        credential_version: 1,
        permission: 'passkeys:import',
      },
    });
    expect(await login.authenticate(authenticator)).toMatchObject(makeAuthenticationRejected('credential-suspended'));
  });

  it('says what exists already, and changes nothing of it', async () => {
    const line = move();
    await send([line]);
    await login.authenticated(authenticator);
    const before = await service.digestTables();
    const { userHandle: _handle, ...without } = line;
    const again = await send([line, { ...line, signCount: 9, name: 'Other' }, { ...without, backupEligible: null }]);
    expect(verdictsOf(again)).toEqual(['exists', 'exists', 'exists']);
    expect(await service.digestTables()).toEqual(before);
  });

  it.each([false, true])(
    'finds contradictions with what is stored and within the file (dry run: %s)',
    async (dryRun) => {
      const [stored, other] = [move(), move()];
      const taken = movePasskey(authenticator, RP, `${user}-b`);
      await send([stored, taken]);
      const events = (await importEvents()).length;
      const before = await service.digestTables();
      const id = '0195511f-03b2-7c11-8d0e-5b7a90a4c3d3';
      const [fresh, twin] = [move({ id: `${id.slice(0, -1)}${dryRun ? 'a' : 'b'}` }), move()];
      const answer = await send(
        [
          { ...stored, userId: `${user}-c` },
          { ...stored, publicKey: other.publicKey, aaguid: 'ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4' },
          { ...stored, userHandle: 'AAAA' },
          { ...other, userHandle: taken.userHandle },
          fresh,
          { ...twin, id: fresh.id },
          { ...fresh, userHandle: 'AAAA' },
          { ...movePasskey(authenticator, RP, `${user}-d`), userHandle: fresh.userHandle },
          fresh,
          // The third passkey of the user, and one too many.
          twin,
          move(),
          move({ status: 'revoked' }),
        ],
        { dryRun: String(dryRun) },
      );
      expect(verdictsOf(answer)).toEqual([
        ['conflict', '/userId'],
        ['conflict', '/publicKey', '/aaguid'],
        ['conflict', '/userHandle'],
        ['conflict', '/userHandle'],
        'imported',
        ['conflict', '/id'],
        ['conflict', '/userHandle'],
        ['conflict', '/userHandle'],
        'exists',
        'imported',
        'refused',
        'imported',
      ]);
      expect(answer.verdicts[10]!.problem).toMatchObject({ reason: 'too-many-credentials' });
      expect(answer.summary.dryRun).toBe(dryRun);
      expect((await importEvents()).length - events).toBe(dryRun ? 0 : 3);
      if (dryRun) expect(await service.digestTables()).toEqual(before);
    },
  );

  it('stops for no line that is malformed, and names it by its number', async () => {
    const good = [move(), move(), move()].map((line) => JSON.stringify(line));
    const body = Buffer.concat([
      Buffer.from(`\ufeff${good[0]!}\r\n\n  \t\r\n{"a":1\n`),
      Buffer.from([0xff, 0xfe, 0x0a]),
      Buffer.from(`"${'x'.repeat(1_048_576)}"\n{"userId":"a",${good[1]!.slice(1)}\n${good[1]!}\n${good[2]!}`),
    ]);
    const { verdicts, summary } = await send(body, { firstLine: '101' });
    expect(verdicts.map(({ line, verdict }) => [line, verdict])).toEqual([
      [101, 'imported'],
      [104, 'malformed'],
      [105, 'malformed'],
      [106, 'malformed'],
      [107, 'malformed'],
      [108, 'imported'],
      [109, 'imported'],
    ]);
    expect(summary).toMatchObject({ nextLine: 110, complete: true, counts: { imported: 3, malformed: 4 } });
  });

  it('of no lines says so', async () => {
    for (const body of ['', '\n\n']) {
      expect(await send(body)).toMatchObject({ verdicts: [], summary: { complete: true, counts: { imported: 0 } } });
    }
  });

  it.each([
    ['application/json', '{}', 415, 'media-type-unsupported'],
    ['application/x-ndjson; charset=latin1', '{}', 415, 'media-type-unsupported'],
  ])('is refused in another media type: %s', async (type, body, status, slug) => {
    const answer = await service.client.send('operator', 'POST', `/v1/credentials/import?rpId=${RP}`, {
      headers: { 'content-type': type },
      body,
    });
    expect(answer).toMatchObject({ status, body: { type: `urn:passkey-manager:problem:${slug}` } });
  });

  it('takes lines at no other route', async () => {
    const answer = await service.client.send('auth-service', 'POST', '/v1/credentials/verify', {
      headers: { 'content-type': 'application/x-ndjson' },
      body: '{}\n',
    });
    expect(answer.status).toBe(415);
  });

  it('needs a relying party that exists and is switched on', async () => {
    await service.relyingParty('off.example.com', {}, { enabled: false });
    for (const [rpId, status] of [
      ['off.example.com', 403],
      ['none.example.com', 404],
    ] as const) {
      const answer = await service.client.send('operator', 'POST', `/v1/credentials/import?rpId=${rpId}`, {
        headers: { 'content-type': 'application/x-ndjson' },
        body: encodeLines([move()]),
      });
      expect(answer.status).toBe(status);
    }
  });

  it('runs beside another one of the same file: each passkey is imported once', async () => {
    const lines = Array.from({ length: 300 }, (_, n) => movePasskey(authenticator, RP, `${user}-${String(n % 200)}`));
    const [one, two] = await Promise.all([send(lines), send(lines)]);
    for (const { summary } of [one, two]) expect(summary.counts['imported']! + summary.counts['exists']!).toBe(300);
    expect(one.summary.counts['imported']! + two.summary.counts['imported']!).toBe(300);
    expect(one.summary.counts['imported']).not.toBe(300 * 2);
  });
});

describe('the log', () => {
  it('tells of an imported passkey, so the walk through all rows finds one that SQL has revived or deleted', async () => {
    const [kept, revived, gone] = [move(), move({ status: 'revoked' }), move()];
    await send([kept, revived, gone]);
    await service.sql('DELETE FROM credential WHERE user_id = $1 AND credential_id = $2', [
      user,
      Buffer.from(gone.credentialId, 'base64url'),
    ]);
    await service.sql(`UPDATE credential SET status = 'active' WHERE user_id = $1`, [user]);
    const found = async (): Promise<unknown[]> => {
      service.clock.advance(60);
      const events = await new AuditLog(service.client).events({ type: 'reconciliation.finding' });
      const ids = [kept, revived, gone].map(({ credentialId }) => credentialId);
      return events
        .map(({ unmapped }) => unmapped?.['credential'] as { credential_id?: string } | undefined)
        .map((credential) => ids.indexOf(credential?.credential_id ?? ''))
        .filter((index) => index >= 0)
        .sort();
    };
    await until(async () => (await found()).length >= 2);
    expect(await found()).toEqual([1, 2]);
  });
});

describe('what a line leaves open', () => {
  const learned = async (): Promise<object[]> => {
    const events = await new AuditLog(service.client).events({ type: 'credential.verify', userId: user });
    return events.map(({ unmapped }) => unmapped as object).reverse();
  };

  it('is learned at the next authentication, once', async () => {
    await send([move({ userHandle: null, backupEligible: null })]);
    expect((await find())[0]).toMatchObject({ backupEligible: null });
    const { credential, risks } = await login.authenticated(authenticator);
    expect([credential.backupEligible, risks]).toEqual([true, []]);
    await login.authenticated(authenticator);
    const [first, second] = await learned();
    expect(first).toMatchObject({ backup_eligible_learned: true, user_handle_learned: true, credential_version: 2 });
    for (const fact of ['backup_eligible_learned', 'user_handle_learned', 'credential_version']) {
      expect(second).not.toHaveProperty(fact);
    }
    expect(
      await login.authenticate(authenticator, { interference: { userHandle: Buffer.from('other') } }),
    ).toMatchObject(makeAuthenticationRejected('user-handle-mismatch'));
    expect(
      await login.authenticate(authenticator, { interference: { flags: { BE: false, BS: false } } }),
    ).toMatchObject(makeAuthenticationRejected('backup-eligibility-changed'));
  });

  it('is learned without a handle where the answer tells none, and the handle later', async () => {
    await send([move({ userHandle: null, backupEligible: null })]);
    const [passkey] = authenticator.passkeys;
    await login.authenticated(authenticator, {
      challenge: { userId: user },
      interference: { passkey: passkey!, userHandle: null },
    });
    await login.authenticated(authenticator);
    const [first, second] = await learned();
    expect(first).toMatchObject({ backup_eligible_learned: true, credential_version: 2 });
    expect(first).not.toHaveProperty('user_handle_learned');
    expect(second).toMatchObject({ user_handle_learned: true, credential_version: 3 });
  });

  it('is not learned from an answer that is refused', async () => {
    await send([move({ userHandle: null, backupEligible: null })]);
    const before = await service.digestTables();
    const bad = await login.authenticate(authenticator, {
      interference: { signature: (bytes) => Buffer.from(bytes).fill(0, bytes.length - 4) },
    });
    expect(bad).toMatchObject(makeAuthenticationRejected('signature-invalid'));
    expect(await service.digestTables()).toEqual(before);
  });

  it('is learned once by two answers at the same time that say different things', async () => {
    await send([move({ userHandle: null, backupEligible: null })]);
    const answers = await Promise.all(
      [0, 1, 2, 3].map((n) =>
        login.authenticate(authenticator, {
          interference: {
            flags: n % 2 ? { BE: true } : { BE: false, BS: false },
            userHandle: Buffer.from(`handle ${String(n % 2)}`),
          },
        }),
      ),
    );
    const accepted = answers.filter(({ status }) => status === 200);
    expect(accepted.length).toBeGreaterThanOrEqual(1);
    expect(new Set(accepted.map(({ body }) => body.credential.backupEligible)).size).toBe(1);
    const facts = await learned();
    expect(facts.filter((fact) => 'user_handle_learned' in fact)).toHaveLength(1);
    expect(facts.filter((fact) => 'backup_eligible_learned' in fact)).toHaveLength(1);
  });

  it.each([
    ['device-bound', true, 422],
    ['device-bound', false, 200],
    ['synced', true, 200],
    ['synced', false, 422],
  ] as const)(
    'is judged by what the answer tells where the policy demands %s: BE %s gets %d',
    async (backup, BE, status) => {
      const party = await service.relyingParty(`${backup}.example.com`, { backup });
      const line = movePasskey(authenticator, party.rpId, user, { userHandle: null, backupEligible: null });
      await importLines(service.client, party.rpId, [line]);
      const answer = await party.authenticate(authenticator, { interference: { flags: { BE, BS: false } } });
      expect(answer.status).toBe(status);
    },
  );
});
