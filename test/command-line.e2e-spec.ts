import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Authenticator } from './support/authenticator/authenticator.js';
import type { Credential } from './support/bodies.js';
import type { Ceremonies } from './support/ceremonies.js';
import { CommandLine } from './support/command-line.js';
import { TestService, toSpiffeId } from './support/service.js';

const POLICY = `version: 1
trustDomain: passkey-manager.local
services:
  - id: ${toSpiffeId('auth-service')}
    permissions: [passkeys:register, passkeys:authenticate, passkeys:read, passkeys:manage]
  - id: ${toSpiffeId('operator')}
    permissions: [relying-parties:read, relying-parties:write, passkeys:read, passkeys:manage, passkeys:erase, statistics:read]
  - id: ${toSpiffeId('second')}
    permissions: [approvals:decide]
  - id: ${toSpiffeId('auditor')}
    permissions: [audit:read, audit:export]
approvals:
  permissions: [relying-parties:write, passkeys:erase]
`;

const RP = 'login.example.com';

/** Of a user who wants to deceive whoever looks at a terminal. */
const HOSTILE = 'eve\u202egnp\u2066\u200b';

let service: TestService;
let line: CommandLine;
let login: Ceremonies<string>;
let ada: Credential;

beforeAll(async () => {
  service = await TestService.start({ accessPolicy: POLICY, identities: ['second'] });
  login = await service.relyingParty(RP, { userVerification: 'preferred' });
  ada = await login.registered('ada', new Authenticator());
  line = new CommandLine(service);
});
afterAll(() => service.stop());

function writeSettings(name: string, text: string): string {
  const path = join(service.dataDir, name);
  writeFileSync(path, text);
  return path;
}

describe('passkey-manager whoami', () => {
  it('says who calls and what waits for an approval', async () => {
    const { code, out, err } = await line.run('operator', ['whoami']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatch(/^id +spiffe:\/\/passkey-manager\.local\/operator$/m);
    expect(out).toMatch(/^approval needed +passkeys:erase, relying-parties:write$/m);
  });

  it('prints the answer of the service as JSON', async () => {
    const { body } = await service.client.call('operator', 'GET', '/v1/caller');
    expect(await line.read('operator', 'whoami')).toEqual(body);
  });
});

describe('passkey-manager users', () => {
  it('shows a user with every passkey', async () => {
    const { code, out } = await line.run('operator', ['users', 'show', 'ada', '--rp', RP]);
    expect(code).toBe(0);
    expect(out).toMatch(/^passkeys +1 active, 0 suspended, 0 revoked$/m);
    expect(out).toMatch(new RegExp(`^${ada.id} +active +\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\dZ +never `, 'm'));
    const json = await line.read<{ credentials: { id: string }[] }>('operator', 'users', 'show', 'ada', '--rp', RP);
    expect(json).toMatchObject({ userId: 'ada', rpId: RP, userHandle: expect.stringMatching(/^[\w-]{43}$/) });
    expect(json.credentials.map(({ id }) => id)).toEqual([ada.id]);
  });

  it('ends with 4 for a user that the relying party does not have', async () => {
    const { code, out, err } = await line.run('operator', ['users', 'show', 'nobody', '--rp', RP]);
    expect({ code, out }).toEqual({ code: 4, out: '' });
    expect(err).toMatch(
      /^The service refused it: 404 not-found: the relying party has no such user\nRequest [\w-]{36}, /,
    );
  });

  it('revokes every passkey of a user', async () => {
    await login.registered('grace', new Authenticator());
    const args = ['users', 'revoke', 'grace', '--rp', RP, '--reason', 'closed'];
    expect(await line.run('operator', args)).toMatchObject({ code: 0, out: 'revoked  1 passkeys of grace\n' });
    const { credentials } = await line.read<{ credentials: Credential[] }>(
      'operator',
      'users',
      'show',
      'grace',
      '--rp',
      RP,
    );
    expect(credentials).toMatchObject([{ status: 'revoked', statusReason: 'closed' }]);
  });

  it('erases nobody without --yes, and says plainly that an approval is needed', async () => {
    const args = ['users', 'erase', 'grace', '--rp', RP];
    expect(await line.run('operator', args)).toMatchObject({ code: 2, out: '' });
    const { code, out, err } = await line.run('operator', [...args, '--yes']);
    expect(code).toBe(6);
    expect(err).toMatch(/^Nothing is changed yet: .* passkey-manager approvals approve ([\w-]{36}) --reason TEXT\n/s);
    expect(out).toMatch(/^asks +passkeys:erase: user grace$/m);
    const [pending] = await line.read<{ id: string }[]>('second', 'approvals', 'list', '--status', 'pending');
    const decision = ['approvals', 'approve', pending!.id, '--reason', 'asked for'];
    expect(await line.run('second', decision)).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^status +approved$/m),
    });
    expect(await line.run('operator', ['users', 'show', 'grace', '--rp', RP])).toMatchObject({ code: 4 });
  });
});

describe('passkey-manager credentials', () => {
  it('suspends, reinstates and revokes, and shows the passkey as it is then', async () => {
    const { id } = await login.registered('edsger', new Authenticator());
    for (const [verb, status] of [
      ['suspend', 'suspended'],
      ['reinstate', 'active'],
      ['revoke', 'revoked'],
    ] as const) {
      const { code, out } = await line.run('operator', ['credentials', verb, id, '--reason', `to ${verb}`]);
      expect(code).toBe(0);
      expect(out).toMatch(new RegExp(`^status +${status}$`, 'm'));
      expect(out).toMatch(new RegExp(`^reason of the last change +to ${verb}$`, 'm'));
      expect(await service.readCredential(id)).toMatchObject({ status });
    }
    const again = await line.run('operator', ['credentials', 'reinstate', id, '--reason', 'x']);
    expect(again).toMatchObject({ code: 4, err: expect.stringContaining('409 credential-state') });
  });

  it('says of a suspended passkey who tells why, and how to end it', async () => {
    const { id } = await login.registered('tony', new Authenticator());
    await line.run('operator', ['credentials', 'suspend', id, '--reason', 'lost']);
    const { out, err } = await line.run('operator', ['users', 'show', 'tony', '--rp', RP]);
    expect(out).toMatch(/ REASON OF THE LAST CHANGE$/m);
    expect(err).toContain(`passkey-manager audit list --credential ${id} --type credential.suspend`);
    expect(err).toContain(`passkey-manager credentials reinstate ${id} --reason TEXT (with passkeys:manage)`);
  });

  it('demands a reason, and changes nothing without', async () => {
    const { code, err } = await line.run('operator', ['credentials', 'revoke', ada.id]);
    expect({ code, err }).toEqual({
      code: 2,
      err: expect.stringMatching(/^Give a --reason\.\nusage: passkey-manager credentials revoke ID/),
    });
    expect(await service.readCredential(ada.id)).toMatchObject({ status: 'active' });
  });

  it('lists as many as asked for over the pages of the service, and says that there are more', async () => {
    const many = Array.from({ length: 5 }, () => login.registered('many', new Authenticator()));
    await Promise.all(many);
    const list = (...args: string[]) =>
      line.read<Credential[]>('operator', 'credentials', 'list', '--user', 'many', ...args);
    expect(await list('--limit', '3')).toHaveLength(3);
    expect(await list('--limit', '0')).toHaveLength(5);
    const { err } = await line.run('operator', ['credentials', 'list', '--user', 'many', '--limit', '3']);
    expect(err).toBe('There are more than 3: --limit 0 lists all.\n');
  });

  it('shows no character that a reader does not see, or that turns a text around', async () => {
    await login.registered(HOSTILE, new Authenticator());
    for (const output of ['table', 'json']) {
      const { out } = await line.run('operator', ['credentials', 'list', '--rp', RP, '--output', output]);
      expect(out).not.toMatch(/[\u200b-\u200f\u202a-\u202e\u2066-\u2069]/);
    }
    const { out } = await line.run('operator', ['credentials', 'list', '--rp', RP]);
    expect(out).toContain('eve\\u{202e}gnp\\u{2066}\\u{200b}');
    const entries = await line.read<Credential[]>('operator', 'credentials', 'list', '--rp', RP);
    expect(entries.map(({ userId }) => userId)).toContain(HOSTILE);
  });

  it('colours the status on a terminal, and never with NO_COLOR', async () => {
    const args = ['credentials', 'show', ada.id];
    const coloured = await line.run('operator', args, { terminal: true });
    expect(coloured.out).toContain('\u001b[32mactive\u001b[39m');
    const plain = await line.run('operator', args);
    expect(plain.out).not.toContain('\u001b');
    expect(await line.run('operator', args, { terminal: true, env: { NO_COLOR: '1' } })).toEqual(plain);
  });
});

describe('passkey-manager policy', () => {
  const stricter = () =>
    writeSettings(
      'login.json',
      JSON.stringify({ rpId: RP, name: RP, origins: [login.origin], policy: { backup: 'device-bound' } }),
    );

  it('prints settings as a file that differs in nothing', async () => {
    const { out } = await line.run('operator', ['policy', 'show', RP]);
    const file = writeSettings('same.yaml', out);
    const same = await line.run('operator', ['policy', 'diff', file]);
    expect(same).toEqual({ code: 0, out: '', err: 'There is no difference.\n' });
    expect(await line.run('operator', ['policy', 'put', file])).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^stored +nothing, it is so already$/m),
    });
  });

  it('says which passkeys settings would refuse, and stores nothing', async () => {
    const before = await service.digestTables();
    for (const args of [
      ['policy', 'check', stricter()],
      ['policy', 'put', stricter(), '--dry-run'],
    ]) {
      const { code, out } = await line.run('operator', args);
      expect(code).toBe(1);
      expect(out).toMatch(/^would refuse +\d+ passkeys? of \d+ that are active$/m);
      expect(out).toMatch(/^ *\d+ +backup-not-eligible|device-bound/m);
    }
    expect(await service.digestTables()).toEqual(before);
  });

  it('shows what differs, with the defaults of what the file leaves out, and what of it is weaker', async () => {
    const file = writeSettings(
      'weaker.yaml',
      `rpId: ${RP}\nname: New name\norigins: [${login.origin}, https://more.example.com]\n`,
    );
    const { code, out } = await line.run('operator', ['policy', 'diff', file]);
    expect(code).toBe(1);
    expect(out).toMatch(/^\/name +not weaker +"login\.example\.com" +"New name"$/m);
    expect(out).toMatch(/^\/origins +weaker +\["https:\/\/login\.example\.com"\] +\[.*more\.example\.com"\]$/m);
    expect(out).toMatch(/^\/policy\/userVerification +not weaker +"preferred" +"required"$/m);
  });

  it('says that a weaker change waits for an approval, and that the check foresees it', async () => {
    const file = writeSettings(
      'waits.yaml',
      `name: ${RP}\norigins: [${login.origin}, https://more.example.com]\npolicy: { userVerification: preferred }\n`,
    );
    const args = [file, '--rp', RP];
    expect(await line.run('operator', ['policy', 'check', ...args])).toMatchObject({
      code: 0,
      out: expect.stringContaining('a second identity must approve it'),
    });
    const { code, out, err } = await line.run('operator', ['policy', 'put', ...args]);
    expect(code).toBe(6);
    expect(err).toMatch(/^Nothing is changed yet: /);
    expect(out).toMatch(/^\/origins +weaker /m);
  });

  it('prints what a change has changed', async () => {
    const file = writeSettings(
      'renamed.yaml',
      `rpId: ${RP}\nname: Renamed\norigins: [${login.origin}]\npolicy: { userVerification: preferred }\n`,
    );
    const { code, out } = await line.run('operator', ['policy', 'put', file]);
    expect(code).toBe(0);
    expect(out).toMatch(/^stored +changed$/m);
    expect(out).toMatch(/^\/name +not weaker +"login\.example\.com" +"Renamed"$/m);
  });

  it('does not overwrite a newer version than that of the file', async () => {
    const file = writeSettings('stale.yaml', `rpId: ${RP}\nversion: 1\nname: Stale\norigins: [${login.origin}]\n`);
    const { code, err } = await line.run('operator', ['policy', 'put', file]);
    expect(code).toBe(4);
    expect(err).toMatch(
      /^The file is of version 1, and the service has version 2: .* Run policy show login\.example\.com again, .*\nThe service refused it: 409 /,
    );
  });

  it('stores nothing that is stored already, also from a file of an older version', async () => {
    const { body } = await service.client.call('operator', 'GET', `/v1/relying-parties/${RP}`);
    const { out } = await line.run('operator', ['policy', 'show', RP]);
    const file = writeSettings('repeated.yaml', out.replace(/^version: .*$/m, 'version: 1'));
    expect(await line.run('operator', ['policy', 'put', file])).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^stored +nothing, it is so already$/m),
      err: '',
    });
    expect((await service.client.call('operator', 'GET', `/v1/relying-parties/${RP}`)).body).toEqual(body);
  });

  it.each([
    ['is no YAML', 'a: [', 2, /neither JSON nor plain YAML/],
    ['is a list', '[]', 2, /does not hold settings/],
    ['names nothing', 'name: x', 2, /has no rpId: give --rp/],
    [
      'has a wrong value',
      `rpId: ${RP}\nname: x\norigins: [https://x.example]\npolicy: { backup: never }`,
      4,
      /^ {2}\/policy\/backup: /m,
    ],
  ])('refuses a file that %s', async (_, text, code, message) => {
    const ran = await line.run('operator', ['policy', 'check', writeSettings('wrong.yaml', text)]);
    expect(ran).toMatchObject({ code, out: '', err: expect.stringMatching(message) });
  });
});

describe('passkey-manager audit list', () => {
  it('finds the events of a user by the user id', async () => {
    const events = await line.read<{ metadata: { event_code: string } }[]>(
      'auditor',
      'audit',
      'list',
      '--user',
      'edsger',
      '--limit',
      '0',
    );
    expect(events.map(({ metadata }) => metadata.event_code)).toEqual([
      ...['credential.revoke', 'credential.reinstate', 'credential.suspend', 'credential.register'],
    ]);
    const { out } = await line.run('auditor', ['audit', 'list', '--user', 'edsger', '--type', 'credential.revoke']);
    expect(out).toMatch(/ success +credential\.revoke +operator +login\.example\.com .* edsger/);
  });
});

describe('passkey-manager statistics', () => {
  it('counts passkeys by status and ceremonies by outcome', async () => {
    const { code, out } = await line.run('operator', ['statistics', '--rp', RP]);
    expect(code).toBe(0);
    expect(out).toMatch(/^active +\d+$/m);
    expect(out).toMatch(
      /^CEREMONY +BEGUN +REFUSED +ACCEPTED +ACCEPTED OF ANSWERS\nregistration +\d+ +0 +\d+ +100\.0 %$/m,
    );
  });

  it('takes a day as its midnight in UTC', async () => {
    const day = new Date(service.clock.now()).toISOString().slice(0, 10);
    expect(await line.read('operator', 'statistics', '--rp', RP, '--from', day)).toMatchObject({
      from: `${day}T00:00:00.000Z`,
    });
    const { code, err } = await line.run('operator', ['statistics', '--rp', RP, '--from', 'today']);
    expect({ code, err }).toEqual({
      code: 2,
      err: expect.stringMatching(/^--from must be a day, such as 2026-03-01, /),
    });
  });
});

describe('passkey-manager keys published', () => {
  it('lists the keys of receipts and signals', async () => {
    const { code, out } = await line.run('operator', ['keys', 'published']);
    expect({ code, out }).toEqual({ code: 0, out: expect.stringMatching(/^receipts +(ES256|Ed25519) +[\w-]{43}$/m) });
  });
});

describe('passkey-manager keys status', () => {
  const status = (env: NodeJS.ProcessEnv) =>
    line.run('operator', ['keys', 'status'], { env: { PASSKEY_DATA_DIR: service.dataDir, ...env } });

  it('begins with what ends next, and has the periods of spent challenges and what each list is', async () => {
    const { code, out, err } = await status({ DATABASE_URL: service.database.ownerUrl });
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const days = [...out.matchAll(/^(\d[\d,]*) +(\d{4}-\d\d-\d\d) +/gm)].map(([, , until]) => until);
    expect(days.length).toBeGreaterThan(3);
    expect(days).toEqual(days.toSorted());
    expect(out).toMatch(/^\d +\d{4}-\d\d-\d\d +periods of spent challenges /m);
    expect(out).toMatch(/ revocation list of callers, \d+ revoked +CN=/);
  });

  it('leaves out what the database has without a DATABASE_URL, says so, and ends with 0', async () => {
    const { code, out, err } = await status({});
    expect({ code, err }).toEqual({ code: 0, err: expect.stringMatching(/^DATABASE_URL is not set: .*\n$/) });
    expect(out).not.toContain('periods of spent challenges');
  });
});

describe('PASSKEY_MANAGER_AS', () => {
  it('is the identity of development without --as', async () => {
    const login = {
      PASSKEY_MANAGER_CERT: undefined,
      PASSKEY_MANAGER_CERT_KEY: undefined,
      PASSKEY_MANAGER_CA: undefined,
    };
    const env = { ...login, PASSKEY_MANAGER_AS: 'nobody', PASSKEY_DATA_DIR: service.dataDir };
    const { code, err } = await line.run('operator', ['whoami'], { env });
    expect({ code, err }).toEqual({ code: 2, err: expect.stringMatching(/^--as nobody: there is no .*nobody\.crt; /) });
    expect(await line.run('operator', ['whoami'], { env: { PASSKEY_MANAGER_AS: 'nobody' } })).toMatchObject({
      code: 0,
    });
  });
});

describe('what goes wrong', () => {
  it('ends with 4 when the access policy does not allow it', async () => {
    const { code, err } = await line.run('auditor', ['credentials', 'list']);
    expect({ code, err }).toEqual({
      code: 4,
      err: expect.stringMatching(/^The service refused it: 403 permission-denied: /),
    });
  });

  it('ends with 5 when nobody answers, and names the options to look at', async () => {
    const { code, err } = await new CommandLine(service, 'https://localhost:1').run('operator', ['whoami']);
    expect(code).toBe(5);
    expect(err).toMatch(/^The service did not answer\. .*ECONNREFUSED.*Check the host and the port in --url/);
  });

  it.each<[string, string[], RegExp]>([
    ['no command', ['frob'], /^'frob' is not a command of passkey-manager\.\nusage: /],
    [
      'a word that is missing',
      ['users'],
      /^passkey-manager users needs a word after it\.\nusage: passkey-manager users show /,
    ],
    ['a word that is wrong', ['users', 'frob'], /^'frob' is not a command of passkey-manager users\.\nusage: /],
    ['an unknown option', ['whoami', '--frob'], /^Unknown option '--frob'.*\nusage: passkey-manager whoami/],
    ['an unknown format', ['whoami', '-o', 'xml'], /^--output must be one of table, json\.\n/],
    ['an operand too many', ['whoami', 'x'], /^'x' is one argument too many\.\n/],
    ['a count that is none', ['credentials', 'list', '--limit', '-1'], /--limit/],
    [
      'a status that is none',
      ['credentials', 'list', '--status', 'gone'],
      /^--status must be one of active, suspended, revoked\.\n/,
    ],
    ['a file that is not there', ['whoami', '--cert', 'nowhere.crt'], /^--cert: there is no file nowhere\.crt\.\n/],
    ['an address without TLS', ['whoami', '--url', 'http://localhost'], /^--url must be an https URL/],
  ])('ends with 2 for %s', async (_, args, message) => {
    expect(await line.run('operator', args)).toMatchObject({ code: 2, out: '', err: expect.stringMatching(message) });
  });
});
