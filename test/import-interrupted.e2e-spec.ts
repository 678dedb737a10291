import { readFile, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Authenticator } from './support/authenticator/authenticator.js';
import type { Ceremonies } from './support/ceremonies.js';
import { type CredentialLine, encodeLines, importLines, movePasskey, readAnswer } from './support/imports.js';
import { TestService } from './support/service.js';
import { until } from './support/until.js';

const RP = 'login.example.com';

let service: TestService;
let login: Ceremonies<string>;
let users = 0;
beforeAll(async () => {
  service = await TestService.start();
  login = await service.relyingParty(RP);
});
afterAll(() => service.stop());

/** An import whose caller sends and reads in pieces. */
class OpenImport {
  text = '';
  private constructor(
    private readonly outgoing: ClientRequest,
    private readonly response: Promise<IncomingMessage>,
    readonly ended: Promise<unknown>,
  ) {}

  static open(url: string): OpenImport {
    const { hostname, port } = new URL(url);
    const outgoing = request({
      ...{ hostname, port, method: 'POST', path: `/v1/credentials/import?rpId=${RP}`, agent: false },
      ...{ ...service.certificateOf('operator'), ca: service.pki.ca },
      headers: { 'content-type': 'application/x-ndjson' },
    });
    const { promise: response, resolve: answer, reject } = Promise.withResolvers<IncomingMessage>();
    const { promise: ended, resolve: end } = Promise.withResolvers<undefined>();
    const opened = new OpenImport(outgoing, response, ended);
    outgoing.on('error', (error) => {
      reject(error);
      end(undefined);
    });
    outgoing.on('response', (incoming) => {
      answer(incoming);
      incoming.setEncoding('utf8').on('data', (piece: string) => (opened.text += piece));
      incoming
        .on('error', () => undefined)
        .on('close', () => {
          end(undefined);
        });
    });
    response.catch(() => undefined);
    return opened;
  }

  send(piece: string | Buffer): void {
    this.outgoing.write(piece);
  }

  finish(): Promise<unknown> {
    this.outgoing.end();
    return this.ended;
  }

  abort(): void {
    this.outgoing.destroy();
  }

  /** Waits for so many lines of the answer. */
  async read(lines: number): Promise<void> {
    await this.response;
    await until(() => this.text.split('\n').length > lines);
  }
}

const makeLines = (count: number): CredentialLine[] =>
  Array.from({ length: count }, () => movePasskey(new Authenticator(), RP, `user-${String((users += 1))}`));
const countStored = async (lines: readonly CredentialLine[]): Promise<number> => {
  const sql = 'SELECT count(*)::integer AS stored FROM credential WHERE user_id = ANY ($1)';
  const [row] = await service.sql<{ stored: number }>(sql, [lines.map(({ userId }) => userId)]);
  return row!.stored;
};
const countEvents = async (): Promise<number> => {
  const [row] = await service.sql<{ events: number }>(
    `SELECT count(*)::integer AS events FROM audit_event WHERE type = 'credential.import'`,
  );
  return row!.events;
};

describe('an import', () => {
  it('answers lines as they come, also where a character is cut in two', async () => {
    const [first, second] = makeLines(2);
    const bytes = Buffer.from(encodeLines([{ ...first!, name: 'Ada’s 🔑' }]));
    const open = OpenImport.open(service.running.httpsUrl);
    const cut = bytes.indexOf(Buffer.from('🔑')) + 2;
    open.send(bytes.subarray(0, cut));
    open.send(bytes.subarray(cut));
    await open.read(1);
    expect(await countStored([first!])).toBe(1);
    open.send(encodeLines([second!]));
    await open.read(2);
    await open.finish();
    expect(readAnswer(open.text).summary).toMatchObject({ complete: true, counts: { imported: 2 } });
  });

  it('that its caller gives up has stored what it gave a verdict, and goes on', async () => {
    const lines = makeLines(40);
    const events = await countEvents();
    const open = OpenImport.open(service.running.httpsUrl);
    open.send(encodeLines(lines.slice(0, 10)));
    await open.read(10);
    open.send(JSON.stringify(lines[10]).slice(0, 50));
    open.abort();
    await open.ended;
    expect(await countStored(lines)).toBe(10);
    const { verdicts, summary } = await importLines(service.client, RP, lines.slice(10), { firstLine: '11' });
    expect([verdicts[0]!.line, verdicts.at(-1)!.line, summary.counts['imported']]).toEqual([11, 40, 30]);
    expect((await importLines(service.client, RP, lines)).summary.counts).toMatchObject({ exists: 40, imported: 0 });
    expect((await countEvents()) - events).toBe(40);
  });

  it.each([
    ['the permission', (policy: string) => policy.replace(', passkeys:import', '')],
    [
      'the relying party',
      (policy: string) => policy.replace(/.*passkeys:import.*/, '$&\n    relyingParties: [none.example.com]'),
    ],
  ])('stores nothing once its caller has lost %s', async (_, change) => {
    const file = join(service.dataDir, 'access-policy.yaml');
    const policy = await readFile(file, 'utf8');
    expect(change(policy)).not.toBe(policy);
    const lines = makeLines(2);
    const open = OpenImport.open(service.running.httpsUrl);
    open.send(encodeLines(lines.slice(0, 1)));
    await open.read(1);
    const hasStatus = async (status: number): Promise<boolean> => {
      const options = { headers: { 'content-type': 'application/x-ndjson' }, body: '' };
      return (
        (await service.client.send('operator', 'POST', `/v1/credentials/import?rpId=${RP}`, options)).status === status
      );
    };
    try {
      await writeFile(file, change(policy));
      await until(() => hasStatus(403));
      open.send(encodeLines(lines.slice(1)));
      await open.ended;
      expect(await countStored(lines)).toBe(1);
    } finally {
      await writeFile(file, policy);
      await until(() => hasStatus(200));
    }
  });

  it('ends when its replica stops, and says where to go on', async () => {
    const replica = await service.startReplica();
    const lines = makeLines(20);
    const open = OpenImport.open(replica.running.httpsUrl);
    open.send(encodeLines(lines.slice(0, 5)));
    await open.read(5);
    const stopped = replica.stop();
    await open.ended;
    await stopped;
    const { verdicts, summary } = readAnswer(open.text);
    expect(verdicts).toHaveLength(5);
    expect(summary).toMatchObject({
      complete: false,
      nextLine: 6,
      problem: { type: 'urn:passkey-manager:problem:unavailable' },
    });
    expect(await countStored(lines)).toBe(5);
    expect((await importLines(service.client, RP, lines)).summary.counts).toMatchObject({ exists: 5, imported: 15 });
  });

  it('gives way to sign-ins, registrations and erasures of the same users', async () => {
    const authenticator = new Authenticator();
    const ids = Array.from({ length: 30 }, () => `user-${String((users += 1))}`);
    await Promise.all(ids.map((user) => login.registered(user, authenticator)));
    const lines = [...ids, ...ids].map((user) => movePasskey(new Authenticator(), RP, user));
    const [imported, ...answers] = await Promise.all([
      importLines(service.client, RP, lines),
      ...ids.map(async (user, n) => {
        if (n % 3 === 0) return service.client.call('operator', 'DELETE', `/v1/users/${user}?rpId=${RP}`);
        if (n % 3 === 1) return login.register(user, new Authenticator());
        return login.authenticate(authenticator, { challenge: { userId: user } });
      }),
    ]);
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([204, 201, 200]));
    expect(imported.summary).toMatchObject({ complete: true, counts: { imported: 60 } });
  });

  it('leaves a user no more passkeys than the policy allows, also beside registrations', async () => {
    const party = await service.relyingParty('few.example.com', { maxCredentialsPerUser: 4 });
    const lines = Array.from({ length: 12 }, () => movePasskey(new Authenticator(), party.rpId, 'ada'));
    const [one, two, ...registered] = await Promise.all([
      importLines(service.client, party.rpId, lines.slice(0, 6)),
      importLines(service.client, party.rpId, lines.slice(6)),
      party.register('ada', new Authenticator()),
      party.register('ada', new Authenticator()),
    ]);
    const created = registered.filter(({ status }) => status === 201).length;
    const imported = one.summary.counts['imported']! + two.summary.counts['imported']!;
    expect([created + imported, one.summary.counts['unavailable'], two.summary.counts['unavailable']]).toEqual([
      4, 0, 0,
    ]);
  });

  it('is one of two at a time of its caller', async () => {
    const open = [1, 2].map(() => OpenImport.open(service.running.httpsUrl));
    for (const each of open) {
      each.send(encodeLines(makeLines(1)));
      await each.read(1);
    }
    const third = await service.client.send('operator', 'POST', `/v1/credentials/import?rpId=${RP}`, {
      headers: { 'content-type': 'application/x-ndjson' },
      body: encodeLines(makeLines(1)),
    });
    expect(third).toMatchObject({ status: 429, body: { type: 'urn:passkey-manager:problem:rate-limited' } });
    for (const each of open) await each.finish();
  });
});
