import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Authenticator } from './support/authenticator/authenticator.js';
import { type Credential, makeProblem, type Page } from './support/bodies.js';
import { type Ceremonies, requireStatus } from './support/ceremonies.js';
import { TestService } from './support/service.js';

const DAY = 86_400;
const RP_ID = 'list.example.com';

let service: TestService;
let rp: Ceremonies<string>;
/** Registered a day after each other. The first is used on the last day. */
let all: Credential[];
let began: number;

beforeAll(async () => {
  service = await TestService.start();
  rp = await service.relyingParty(RP_ID);
  began = service.clock.now().getTime();
  const authenticators = [
    new Authenticator({ backupEligible: false, backedUp: false }),
    new Authenticator({ algorithm: 'RS256' }),
    new Authenticator(),
    new Authenticator({ backedUp: false }),
  ];
  all = [];
  for (const authenticator of authenticators) {
    all.push(await rp.registered(`user-${String(all.length)}`, authenticator));
    service.clock.advance(DAY);
  }
  await rp.authenticated(authenticators[0]!);
});
afterAll(() => service.stop());

const get = (query: Record<string, string>) =>
  service.client.call<Page<Credential>>(
    'auth-service',
    'GET',
    `/v1/credentials?${new URLSearchParams(query).toString()}`,
  );
const list = async (query: Record<string, string>): Promise<Page<Credential>> => requireStatus(await get(query), 200);
const after = (days: number): string => new Date(began + days * DAY * 1_000).toISOString();

describe('GET /v1/credentials', () => {
  it.each<[string, () => Record<string, string>, number[]]>([
    [
      'unused since the moment of the first registration, which it does not count',
      () => ({ unusedSince: after(0) }),
      [],
    ],
    ['unused since a day', () => ({ unusedSince: after(2.5) }), [1, 2]],
    ['unused since now, the one that was just used included', () => ({ unusedSince: after(9) }), [0, 1, 2, 3]],
    ['unused since the year 1', () => ({ unusedSince: '0001-01-01T00:00:00Z' }), []],
    ['unused since the year 9999', () => ({ unusedSince: '9999-12-31T23:59:59Z' }), [0, 1, 2, 3]],
    ['backed up', () => ({ backedUp: 'true' }), [1, 2]],
    ['not backed up', () => ({ backedUp: 'false' }), [0, 3]],
    ['backup eligible', () => ({ backupEligible: 'true' }), [1, 2, 3]],
    ['not backup eligible', () => ({ backupEligible: 'false' }), [0]],
    ['of an algorithm', () => ({ algorithm: '-257' }), [1]],
    ['of an algorithm that none has', () => ({ algorithm: '-48' }), []],
    ['without an attestation', () => ({ attestationTrust: 'none' }), [0, 1, 2, 3]],
    ['of a trusted maker', () => ({ attestationTrust: 'trusted' }), []],
    [
      'of all of it',
      () => ({ unusedSince: after(9), backupEligible: 'true', backedUp: 'false', algorithm: '-7' }),
      [3],
    ],
    ['of a user', () => ({ userId: 'user-1', backedUp: 'true' }), [1]],
    ['of a user, which another one meets', () => ({ userId: 'user-0', backedUp: 'true' }), []],
  ])('lists the credentials that are %s', async (_, query, indices) => {
    for (const party of [{ rpId: RP_ID }, {}] as Record<string, string>[]) {
      const page = await list({ ...party, ...query() });
      expect(page.data.map(({ id }) => id)).toEqual(indices.map((index) => all[index]!.id));
      expect(page.nextCursor).toBeNull();
    }
  });

  it('has a credential of which the backup eligibility is not known in neither list', async () => {
    const { id } = all[3]!;
    await service.sql('UPDATE credential SET backup_eligible = NULL WHERE id = $1', [id]);
    for (const backupEligible of ['true', 'false']) {
      const page = await list({ rpId: RP_ID, backupEligible });
      expect(page.data.map((each) => each.id)).not.toContain(id);
    }
    await service.sql('UPDATE credential SET backup_eligible = true WHERE id = $1', [id]);
  });

  it.each([1, 2, 3])('pages through a filtered list by %d: each credential once, in one order', async (limit) => {
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const page: Page<Credential> = await list({
        ...{ backupEligible: 'true', limit: String(limit) },
        ...(cursor === null ? {} : { cursor }),
      });
      expect(page.data.length).toBeLessThanOrEqual(limit);
      seen.push(...page.data.map(({ id }) => id));
      cursor = page.nextCursor;
    } while (cursor !== null);
    expect(seen).toEqual([1, 2, 3].map((index) => all[index]!.id));
  });

  it.each([
    ...['yesterday', '', '2026-02-30T00:00:00Z', '2026-03-01', '1e3', '2026-03-01T24:00:00Z'].map((value) => [
      'unusedSince',
      value,
    ]),
    ...['', 'yes', '1', 'TRUE', 'null', ' true'].map((value) => ['backedUp', value]),
    ...['', 'unknown', '0'].map((value) => ['backupEligible', value]),
    ...['', 'ES256', '7', '-7.0', '-8e0', ' -7', '-65535', '99999999999999999999'].map((value) => ['algorithm', value]),
    ...['', 'any', 'Trusted'].map((value) => ['attestationTrust', value]),
  ] as [string, string][])('refuses %s=%j and names the member', async (name, value) => {
    const invalid = [expect.objectContaining({ pointer: `/${name}` })];
    expect(await get({ rpId: RP_ID, [name]: value })).toMatchObject(makeProblem(400, 'request-malformed', { invalid }));
  });

  it('goes on after a page that is empty, because it reads a bounded number of rows', async () => {
    const far = 'far.example.com';
    const party = await service.relyingParty(far);
    const { id } = await party.registered('first', new Authenticator());
    const columns = (
      await service.sql<{ name: string }>(
        `SELECT attname AS name FROM pg_attribute WHERE attrelid = 'credential'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
      )
    ).map(({ name }) => name);
    const values = columns.map((name) => {
      if (name === 'id') return `(left(id::text, 24) || lpad(to_hex(i), 12, '0'))::uuid`;
      return name === 'credential_id' ? `sha256(i::text::bytea)` : name;
    });
    await service.sql(
      `INSERT INTO credential (${columns.join()}) SELECT ${values.join()} FROM credential, generate_series(1, 5200) AS i WHERE id = $1`,
      [id],
    );
    service.clock.advance(DAY);
    const last = await party.registered('last', new Authenticator({ algorithm: 'RS256' }));
    const first = await list({ rpId: far, algorithm: '-257' });
    expect(first).toEqual({ data: [], nextCursor: expect.any(String) });
    const second = await list({ rpId: far, algorithm: '-257', cursor: first.nextCursor! });
    expect(second.data.map(({ id }) => id)).toEqual([last.id]);
    expect(second.nextCursor).toBeNull();
  });
});
