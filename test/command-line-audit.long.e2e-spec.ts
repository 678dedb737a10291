import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { verifyEvent } from '../src/tlog/proof-documents.js';
import { parseVerifierKeys } from '../src/tlog/keys.js';
import { Authenticator } from './support/authenticator/authenticator.js';
import { CommandLine } from './support/command-line.js';
import { TestService, toSpiffeId } from './support/service.js';
import { until } from './support/until.js';

const RP = 'login.example.com';
const WHY = 'the customer lost the phone, case 4711';

let service: TestService;
let line: CommandLine;
let revocation: string;

interface Shown {
  readonly metadata: { readonly uid: string };
  readonly actor: { readonly app_uid: string };
}

beforeAll(async () => {
  service = await TestService.start();
  line = new CommandLine(service);
  const login = await service.relyingParty(RP, { userVerification: 'preferred' });
  const { id } = await login.registered('maria.lopez', new Authenticator());
  expect(await line.run('auth-service', ['credentials', 'revoke', id, '--reason', WHY])).toMatchObject({ code: 0 });
  const [event] = await list('--type', 'credential.revoke');
  revocation = event!.metadata.uid;
});
afterAll(() => service.stop());

const list = (...args: string[]): Promise<Shown[]> => line.read<Shown[]>('auditor', 'audit', 'list', ...args);

describe('passkey-manager audit list', () => {
  it('shows why an operator revoked a passkey', async () => {
    const { out } = await line.run('auditor', [
      'audit',
      'list',
      '--user',
      'maria.lopez',
      '--type',
      'credential.revoke',
    ]);
    expect(out).toMatch(new RegExp(`^TIME .* EVENT +REASON\n.* maria\\.lopez +${revocation} +${WHY}\n$`));
  });

  it('shows why the service refused a request', async () => {
    await line.run('operator', ['audit', 'list']);
    const { out } = await line.run('auditor', ['audit', 'list', '--type', 'access.denied']);
    expect(out).toMatch(/ failure +access\.denied +operator .* permission-denied/);
  });

  it('finds the events of a caller by the name that it prints', async () => {
    for (const name of ['auth-service', '/auth-service', toSpiffeId('auth-service')]) {
      const events = await list('--actor', name);
      expect(new Set(events.map(({ actor }) => actor.app_uid))).toEqual(new Set([toSpiffeId('auth-service')]));
    }
  });

  it('says what was asked if there is no such event', async () => {
    const args = ['audit', 'list', '--actor', 'auth-servise', '--outcome', 'failure', '--from', '2026-03-01'];
    expect(await line.run('auditor', args)).toEqual({
      code: 0,
      out: '',
      err: `There is no event of actor ${toSpiffeId('auth-servise')}, with outcome failure, from 2026-03-01T00:00:00Z on.\n`,
    });
  });

  it('takes a day as its midnight in UTC, and refuses other texts with an example', async () => {
    const day = new Date(service.clock.now()).toISOString().slice(0, 10);
    expect((await list('--from', day)).length).toBeGreaterThan(0);
    expect(await list('--to', day)).toEqual([]);
    expect(await line.run('auditor', ['audit', 'list', '--from', 'yesterday'])).toMatchObject({
      code: 2,
      err: expect.stringMatching(
        /^--from must be a day, such as 2026-03-01, or a time, such as 2026-03-01T08:00:00Z\.\n/,
      ),
    });
  });
});

describe('passkey-manager audit show', () => {
  it('shows what an event says, and as JSON the answer of the service', async () => {
    const { code, out } = await line.run('auditor', ['audit', 'show', revocation]);
    expect(code).toBe(0);
    for (const row of [
      /^type +credential\.revoke$/,
      /^outcome +success$/,
      /^status before +active$/,
      /^user +maria\.lopez$/,
    ])
      expect(out).toMatch(new RegExp(row.source, 'm'));
    expect(out).toMatch(new RegExp(`^reason given +${WHY}$`, 'm'));
    expect(await line.read('auditor', 'audit', 'show', revocation)).toMatchObject({ metadata: { uid: revocation } });
  });

  it('verifies the event, and keeps what proves it without the service', async () => {
    const directory = join(service.dataDir, 'evidence');
    await until(async () => (await line.run('auditor', ['audit', 'show', revocation, '--proof'])).code === 0);
    const { code, out, err } = await line.run('auditor', ['audit', 'show', revocation, '--save', directory]);
    expect(code).toBe(0);
    expect(out).toMatch(/^place +leaf \d+ of \d+, verified$/m);
    const [event, proof, keys] = ['event.json', 'proof.json', 'audit.pub'].map((name) => join(directory, name));
    expect(err).toContain(`passkey-manager audit verify ${event!} --proof ${proof!} --key ${keys!}`);
    const read = (path: string): string => readFileSync(path, 'utf8');
    expect(verifyEvent(read(event!), read(proof!), parseVerifierKeys(read(keys!)))).toMatchObject({ id: revocation });
    expect(read(join(directory, 'checkpoint'))).toMatch(/^.+\n\d+\n/);
  });

  it('ends with 1 if the keys that somebody kept did not sign the log', async () => {
    const other = await TestService.start();
    const key = join(service.dataDir, 'other.pub');
    const { out } = await new CommandLine(other).run('auditor', ['audit', 'key']);
    await other.stop();
    writeFileSync(key, out);
    expect(await line.run('auditor', ['audit', 'show', revocation, '--key', key])).toMatchObject({ code: 1, out: '' });
  });

  it('ends with 4 for an event that the log does not have', async () => {
    const nobody = '01955121-3872-7fa2-94f9-ac2b3d0ef516';
    const { code, err } = await line.run('auditor', ['audit', 'show', nobody]);
    expect({ code, err }).toEqual({ code: 4, err: expect.stringContaining('404 event-unknown') });
  });
});
