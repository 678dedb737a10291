import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parseCredentialLine } from '../src/portability/credential-line.js';
import { type VerifiedExport, verifyCredentialExport } from '../src/portability/export-verifier.js';
import { parseVerifierKeys } from '../src/tlog/keys.js';
import { AuditLog } from './support/audit-log.js';
import { Authenticator } from './support/authenticator/authenticator.js';
import { type Credential, type Page, makeProblem } from './support/bodies.js';
import { type Ceremonies, requireStatus } from './support/ceremonies.js';
import type { Answer } from './support/client.js';
import { TestService } from './support/service.js';

const RP_ID = 'login.example.com';
const NAMES = ['a "quoted" name', 'Ключ\u2028日本', '🔑\\n', "O'Brien <b>"];

let service: TestService;
let login: Ceremonies<string>;
let log: AuditLog;

beforeAll(async () => {
  service = await TestService.start();
  log = new AuditLog(service.client);
  login = await service.relyingParty(RP_ID);
  await service.relyingParty('other.example.com').then((other) => other.registered('ada', new Authenticator()));
  await service.relyingParty('empty.example.com');
  const authenticators = NAMES.map(() => new Authenticator());
  for (const [index, name] of NAMES.entries())
    await login.registered(`user "${String(index)}"`, authenticators[index]!, { answer: { name } });
  await login.authenticated(authenticators[0]!);
  const [, second, third] = await list();
  const change = (id: string, to: string) =>
    service.client.call('auth-service', 'POST', `/v1/credentials/${id}/${to}`, { reason: `${to}: "because"` });
  requireStatus(await change(second!.id, 'suspend'), 200);
  requireStatus(await change(third!.id, 'revoke'), 200);
});
afterAll(() => service.stop());

const ask = (rpId = RP_ID): Promise<Answer<string>> =>
  service.client.call<string>('operator', 'GET', `/v1/credentials/export?rpId=${rpId}`);
const exported = async (rpId = RP_ID): Promise<string[]> =>
  requireStatus(await ask(rpId), 200)
    .split(/(?<=\n)/)
    .filter((line) => line !== '');
const list = async (): Promise<Credential[]> =>
  requireStatus(
    await service.client.call<Page<Credential>>('auth-service', 'GET', `/v1/credentials?rpId=${RP_ID}`),
    200,
  ).data;
const verified = async (lines: readonly string[]): Promise<VerifiedExport> => {
  const keys = requireStatus(await service.client.call<string>('auditor', 'GET', '/v1/audit/key'), 200);
  return verifyCredentialExport(Readable.from([lines.join('')]), parseVerifierKeys(keys));
};

interface State {
  readonly state: string;
  readonly export?: string;
  readonly credentials?: number;
  readonly left_out?: number;
  readonly digest?: string;
}
async function readStates(): Promise<{ id: string; outcome: string; reason: string | undefined; facts: State }[]> {
  const events = await log.events({ type: 'credential.export' });
  return events
    .map(({ metadata, status_id, status_code, unmapped }) => ({
      id: metadata.uid,
      outcome: status_id === 1 ? 'Success' : 'Failure',
      reason: status_code,
      facts: unmapped as unknown as State,
    }))
    .toSorted((a, b) => (a.id < b.id ? -1 : 1));
}

describe('GET /v1/credentials/export', () => {
  it('streams every passkey of the relying party, in the order of the ids, with the members that GET /v1/credentials shows', async () => {
    const lines = (await exported()).slice(1, -1).map((line) => JSON.parse(line) as Record<string, unknown>);
    const shown = await list();
    expect(lines).toHaveLength(NAMES.length);
    for (const [index, credential] of shown.entries()) {
      const members = Object.entries(credential).filter(([name, value]) => value !== null && name !== 'authenticator');
      const present = Object.fromEntries(members);
      expect(lines[index]).toMatchObject(present);
    }
    expect(lines.map(({ name }) => name)).toEqual(NAMES);
    expect(lines.map(({ status }) => status)).toEqual(['active', 'suspended', 'revoked', 'active']);
    expect(lines[0]!['lastUsedAt']).toEqual(expect.any(String));
  });

  it('has the public key and the user handle, and no secret of the deployment', async () => {
    const [row] = await service.sql<{ public_key: Buffer; handle: Buffer }>(
      `SELECT public_key, handle FROM credential JOIN user_handle USING (rp_id, user_id) WHERE rp_id = $1 ORDER BY id LIMIT 1`,
      [RP_ID],
    );
    const line = JSON.parse((await exported())[1]!) as Record<string, unknown>;
    expect(line).toMatchObject({
      publicKey: row!.public_key.toString('base64url'),
      userHandle: row!.handle.toString('base64url'),
      source: 'passkey-manager/default',
    });
    expect(Object.keys(line).filter((name) => /mac|seal|version|audit/i.test(name))).toEqual([]);
  });

  it('writes lines that the import reads', async () => {
    for (const line of (await exported()).slice(1, -1)) {
      const read = parseCredentialLine(Buffer.from(line.trimEnd()), { rpId: RP_ID, now: service.clock.now() });
      expect(read).toMatchObject({ source: 'passkey-manager/default', userHandle: expect.any(Buffer) });
    }
  });

  it('verifies with the keys that an auditor gets, and the digest is that of the bytes', async () => {
    const lines = await exported();
    const { header, end, signed } = await verified(lines);
    expect(header).toMatchObject({ rpId: RP_ID, deployment: 'passkey-manager/default' });
    expect(end).toMatchObject({ count: NAMES.length, leftOut: 0 });
    expect(end.digest).toBe(createHash('sha256').update(lines.slice(0, -1).join('')).digest('base64url'));
    expect(signed.keys.map(({ algorithm }) => algorithm)).toEqual(['ed25519', 'ml-dsa-44']);
    await expect(verified(lines.with(1, lines[1]!.replace('active', 'revoked')))).rejects.toThrow('line 6');
  });

  it('is two lines for a relying party without passkeys', async () => {
    const lines = await exported('empty.example.com');
    expect(lines).toHaveLength(2);
    expect(await verified(lines)).toMatchObject({ end: { count: 0, leftOut: 0 } });
  });

  it('serves a relying party that is switched off, so that nothing changes while it runs', async () => {
    await service.relyingParty('off.example.com', {}, { enabled: false });
    expect(await verified(await exported('off.example.com'))).toMatchObject({ end: { count: 0 } });
  });

  it('is refused for a relying party that does not exist', async () => {
    expect(await ask('nowhere.example.com')).toMatchObject(makeProblem(404, 'relying-party-unknown'));
  });
});

describe('the events of an export', () => {
  it('say before the first byte that it began, and at the end what the last line says', async () => {
    const lines = await exported();
    const { header, end } = await verified(lines);
    const [begun, finished] = (await readStates()).slice(-2);
    expect(begun).toMatchObject({ id: header.exportId, outcome: 'Success', facts: { state: 'begun' } });
    expect(finished).toMatchObject({
      outcome: 'Success',
      facts: { state: 'finished', export: header.exportId, credentials: end.count, left_out: 0, digest: end.digest },
    });
  });

  it('are none for a relying party that does not exist', async () => {
    const before = (await readStates()).length;
    await ask('nowhere.example.com');
    expect(await readStates()).toHaveLength(before);
  });
});

describe('a row that somebody changed by SQL', () => {
  it.each([
    ['a credential', `UPDATE credential SET user_id = 'mallory' WHERE id = $1`, 'credential.tampered'],
    [
      'a user',
      `UPDATE user_handle SET handle = 'mallory' WHERE rp_id = '${RP_ID}' AND user_id = (SELECT user_id FROM credential WHERE id = $1)`,
      'user.tampered',
    ],
    [
      'a user who is gone',
      `DELETE FROM user_handle WHERE rp_id = '${RP_ID}' AND user_id = (SELECT user_id FROM credential WHERE id = $1)`,
      undefined,
    ],
  ])('is left out, reported and counted, if it is %s', async (_, change, event) => {
    const victim = await login.registered(`victim ${String(event)}`, new Authenticator());
    const before = await verified(await exported());
    await service.sql(change, [victim.id]);
    const lines = await exported();
    const { end } = await verified(lines);
    expect(end).toMatchObject({ count: before.end.count - 1, leftOut: before.end.leftOut + 1 });
    expect(lines).toContain(`{"kind":"left-out","id":"${victim.id}"}\n`);
    expect(lines.filter((line) => line.includes(victim.credentialId))).toEqual([]);
    if (event !== undefined) expect(await log.events({ type: event })).not.toEqual([]);
    expect((await readStates()).at(-1)!.facts).toMatchObject({ left_out: end.leftOut });
  });

  it('keeps a time of last use out that no seal covers and no import would take', async () => {
    const { id } = await login.registered('timeless', new Authenticator());
    for (const time of ['infinity', '-infinity', '12345-01-01', '1950-01-01']) {
      await service.sql(`UPDATE credential SET last_used_at = $2 WHERE id = $1`, [id, time]);
      const line = (await exported()).find((each) => each.includes(id))!;
      expect(JSON.parse(line)).not.toHaveProperty('lastUsedAt');
    }
  });
});
