import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';
import { AuditService } from '../src/audit/audit.service.js';
import { Authenticator } from './support/authenticator/authenticator.js';
import type { Ceremonies } from './support/ceremonies.js';
import { CommandLine, type Running } from './support/command-line.js';
import { type Replica, TestService, toSpiffeId } from './support/service.js';
import { insertEvents } from './support/insert-events.js';
import { settleLog } from './support/settle-log.js';
import { Severable } from './support/severable.js';
import { until } from './support/until.js';

interface Line {
  readonly leafIndex: number;
  readonly event: {
    readonly metadata: { readonly uid: string; readonly event_code: string };
    readonly actor?: { readonly app_uid?: string };
    readonly unmapped?: { readonly credential?: { readonly uid?: string } };
  };
}

const POLICY = `version: 1
trustDomain: passkey-manager.local
services:
  - id: ${toSpiffeId('auth-service')}
    permissions: [passkeys:register, passkeys:read]
  - id: ${toSpiffeId('operator')}
    permissions: [relying-parties:read, relying-parties:write]
  - id: ${toSpiffeId('auditor')}
    permissions: [audit:read, audit:export]
  - id: ${toSpiffeId('limited')}
    permissions: [audit:read, audit:export]
    relyingParties: [login.example.com]
`;

let service: TestService;
let wire: Severable;
let line: CommandLine;
let login: Ceremonies<string>;

beforeAll(async () => {
  service = await TestService.start({ accessPolicy: POLICY, identities: ['limited'] });
  login = await service.relyingParty('login.example.com');
  wire = await Severable.openBefore(service.running.httpsUrl);
  line = new CommandLine(service, wire.url.replace('127.0.0.1', 'localhost'));
});
afterAll(async () => {
  await wire.close();
  await service.stop();
});

let users = 0;
const register = () => login.registered(`user-${String((users += 1))}`, new Authenticator());

const begun: Running[] = [];
afterEach(async () => {
  await Promise.all(begun.splice(0).map((running) => running.pressCtrlC()));
});

/** Waits until the log has a place for a passkey's registration. */
async function settle(id: string): Promise<void> {
  await until(async () => {
    const [row] = await service.sql<{ placed: boolean }>(
      `SELECT EXISTS (SELECT FROM audit_event e JOIN audit_leaf l ON l.event_id = e.id WHERE e.credential_uid = $1) AS placed`,
      [id],
    );
    return row!.placed;
  });
}

/** Begins to follow the log at its end, as soon as it shows what happens. */
async function follow(identity: string, ...args: string[]): Promise<Running> {
  const running = line.start(identity, 'audit', 'tail', '-o', 'json', '--last', '0', '--interval', '1', ...args);
  begun.push(running);
  await until(async () => {
    await register();
    return running.out !== '';
  });
  return running;
}

/** The events of the log from a leaf on, as the database has them. */
async function readLog(from: number): Promise<{ leaf: number; id: string }[]> {
  return service.sql(
    'SELECT leaf_index::int AS leaf, event_id AS id FROM audit_leaf WHERE leaf_index >= $1 ORDER BY 1',
    [from],
  );
}

describe('passkey-manager audit tail', () => {
  const countReads = async (): Promise<number> => {
    const [row] = await service.sql<{ reads: number }>(
      "SELECT count(*)::int AS reads FROM audit_event WHERE type = 'audit.export'",
    );
    return row!.reads;
  };

  it.each(['auditor', 'limited'])(
    'shows %s each event as it comes, and rests when only its own reading is new',
    async (identity) => {
      const running = await follow(identity);
      const { id } = await register();
      await until(() => running.out.includes(id));
      await new Promise((resolve) => setTimeout(resolve, 2_500));
      const before = await countReads();
      await new Promise((resolve) => setTimeout(resolve, 4_000));
      expect(await countReads()).toBe(before);
      const late = await register();
      await until(() => running.out.includes(late.id));
      const { code, err } = await running.pressCtrlC();
      expect(code).toBe(0);
      const lines = running.readLines<Line>();
      expect(lines.filter(({ event }) => event.metadata.event_code === 'audit.export')).toEqual([]);
      const [, next] = /^To go on: passkey-manager audit tail --from-leaf (\d+)$/m.exec(err) ?? [];
      expect(Number(next)).toBeGreaterThan(lines.at(-1)!.leafIndex);
    },
  );

  it('shows no event twice and leaves none out while connections break and replicas are replaced', async () => {
    const running = await follow('auditor', '--own');
    const [{ leafIndex: first }] = running.readLines<Line>() as [Line];
    let replica: Replica | undefined;
    const registered: string[] = [];
    for (let round = 0; round < 6; round += 1) {
      registered.push((await register()).id);
      wire.cut();
      if (round === 0) await until(() => running.err.includes('this waits for it'));
      registered.push((await register()).id);
      const next = await service.startReplica();
      wire.redirect(next.running.httpsUrl);
      registered.push((await register()).id);
      await until(() => running.out.includes(registered.at(-1)!));
      await replica?.stop();
      replica = next;
    }
    const { code, err } = await running.pressCtrlC();
    expect({ code, err }).toEqual({
      code: 0,
      err: expect.stringMatching(/this waits for it.*\nThe service answers again\.\n/),
    });
    const lines = running.readLines<Line>();
    const log = await readLog(first);
    expect(lines.map(({ leafIndex, event }) => ({ leaf: leafIndex, id: event.metadata.uid }))).toEqual(
      log.slice(0, lines.length),
    );
    for (const id of registered)
      expect(lines.filter(({ event }) => event.unmapped?.credential?.uid === id)).toHaveLength(1);
    wire.redirect(service.running.httpsUrl);
    await replica?.stop();
  });

  it('shows each event of a long log once although the connection breaks again and again in the middle of it', async () => {
    const { app } = service.running;
    const [dataSource, audit] = [app.get(DataSource, { strict: false }), app.get(AuditService, { strict: false })];
    await insertEvents(dataSource, audit, 'service.start', new Date(), 20_000);
    await settleLog(service);
    const running = line.start('auditor', 'audit', 'tail', '--from-leaf', '0', '--own', '-o', 'json');
    begun.push(running);
    let [cuts, seen] = [0, 0];
    await until(async () => {
      if (running.out.length > seen && cuts < 8) {
        wire.cut();
        [cuts, seen] = [cuts + 1, running.out.length];
        await new Promise((resolve) => setTimeout(resolve, 50));
        wire.restore();
      }
      return running.out.split('\n').length > 20_000;
    });
    await running.pressCtrlC();
    const lines = running.readLines<Line>();
    expect(cuts).toBe(8);
    expect(lines.map(({ leafIndex }) => leafIndex)).toEqual(lines.map((_, at) => at));
    expect(new Set(lines.map(({ event }) => event.metadata.uid)).size).toBe(lines.length);
  });

  it('goes on where an earlier run ended', async () => {
    const { err } = await (await follow('auditor')).pressCtrlC();
    const [, next = ''] = /--from-leaf (\d+)/.exec(err) ?? [];
    const { id } = await register();
    await settle(id);
    const { code, out } = await line.run('auditor', [
      'audit',
      'tail',
      '--no-follow',
      '--from-leaf',
      next,
      '-o',
      'json',
    ]);
    expect(code).toBe(0);
    expect(out).toContain(id);
    expect((JSON.parse(out.split('\n', 1)[0]!) as Line).leafIndex).toBeGreaterThanOrEqual(Number(next));
  });

  it.each<[string, string[], (line: Line) => boolean]>([
    ['type', ['--type', 'relying-party.create'], ({ event }) => event.metadata.event_code === 'relying-party.create'],
    [
      'the beginning of types',
      ['--type', 'relying-party'],
      ({ event }) => event.metadata.event_code.startsWith('relying-party.'),
    ],
    ['caller', ['--actor', 'auth-service'], ({ event }) => event.actor?.app_uid === toSpiffeId('auth-service')],
  ])('shows only what the filter asks for: %s', async (_, args, matches) => {
    const all = ['audit', 'tail', '--no-follow', '--last', '100000', '-o', 'json'];
    const lines = async (...filter: string[]): Promise<Line[]> => {
      const { out } = await line.run('auditor', [...all, ...filter]);
      return out.split('\n').flatMap((text) => (text === '' ? [] : [JSON.parse(text) as Line]));
    };
    const everything = await lines();
    const filtered = await lines(...args);
    expect(filtered.length).toBeGreaterThan(0);
    expect(filtered).toEqual(everything.filter(matches));
  });

  it('shows only the events of a passkey, and a line for each in a table', async () => {
    const { id } = await register();
    await settle(id);
    const { out } = await line.run('auditor', [
      'audit',
      'tail',
      '--no-follow',
      '--credential',
      id,
      '--outcome',
      'success',
    ]);
    expect(out).toMatch(
      new RegExp(
        `^\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\dZ  success  credential\\.register +auth-service +login\\.example\\.com +${id} .*\n$`,
      ),
    );
  });

  it('ends with 1 if the log is shorter than it was', async () => {
    const { code, err } = await line.run('auditor', ['audit', 'tail', '--from-leaf', '999999999']);
    expect({ code, err }).toEqual({
      code: 1,
      err: expect.stringMatching(/^The log has \d+ leaves, and 999999999 were there: it was cut or restored/),
    });
  });

  it('ends with 4 for a caller that may not export the log', async () => {
    expect(await line.run('operator', ['audit', 'tail'])).toMatchObject({ code: 4, out: '' });
  });
});

it('passkey-manager audit export saves a log that audit verify and audit report take', async () => {
  const [file, key] = [`${service.dataDir}/export.ndjson`, `${service.dataDir}/audit.pub`];
  const { out: keys } = await line.run('auditor', ['audit', 'key']);
  const { writeFileSync } = await import('node:fs');
  writeFileSync(key, keys);
  expect(await line.run('auditor', ['audit', 'export', '--out', file])).toMatchObject({ code: 0, out: '' });
  expect(await line.run('auditor', ['audit', 'verify', file, '--key', key])).toMatchObject({ code: 0 });
  expect(await line.run('auditor', ['audit', 'report', file, '--key', key])).toMatchObject({ code: 0 });
  writeFileSync(file, '{}\n');
  expect(await line.run('auditor', ['audit', 'verify', file, '--key', key])).toMatchObject({ code: 1 });
});
