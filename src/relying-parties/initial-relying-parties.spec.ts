import { FakeApprovals } from '../../test/support/fake-approvals.js';
import { makeSeals, TEST_KEYS } from '../../test/support/secret-keys.js';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { FakeAudit } from '../../test/support/fake-audit.js';
import { openTestDataSource, type TestDataSource } from '../../test/support/test-data-source.js';
import { AuditEventEntity } from '../audit/audit-event.entity.js';
import { AuditService } from '../audit/audit.service.js';
import { ConfigError, readConfig } from '../config/config.js';
import { Metrics } from '../telemetry/metrics.js';
import { InitialRelyingParties } from './initial-relying-parties.js';
import { RelyingPartiesService } from './relying-parties.service.js';
import { RelyingPartyEntity } from './relying-party.entity.js';
import { RelyingPartySeals } from './relying-party-seals.js';

Logger.overrideLogger(false);

let database: TestDataSource;
let directory: string;
let parties: RelyingPartiesService;
beforeAll(async () => {
  database = await openTestDataSource();
  directory = mkdtempSync(join(tmpdir(), 'passkey-manager-'));
  const clock = { now: () => new Date() };
  const audit = new AuditService(database.dataSource, clock, new Metrics(), TEST_KEYS, makeSeals());
  const seals = new RelyingPartySeals(makeSeals(), new FakeAudit().refusals);
  parties = new RelyingPartiesService(getParties(), clock, audit, new FakeApprovals().service, seals);
});
beforeEach(() => database.sql('TRUNCATE relying_party, audit_event'));
afterAll(async () => {
  rmSync(directory, { recursive: true });
  await database.close();
});

const getParties = () => database.dataSource.getRepository(RelyingPartyEntity);

/** Boots with a file of this text, or without a file. */
async function boot(text: string | undefined, production = true): Promise<RelyingPartyEntity[]> {
  const file = join(directory, 'relying-parties.yaml');
  if (text !== undefined) writeFileSync(file, text);
  const config = { ...readConfig(text === undefined ? {} : { PASSKEY_RELYING_PARTIES_FILE: file }), production };
  await new InitialRelyingParties(config, parties).onApplicationBootstrap();
  return getParties().find({ order: { rpId: 'ASC' } });
}

const YAML = `
- rpId: login.example.com
  name: Example
  origins: [https://login.example.com]
  policy: { userVerification: preferred, attestation: { conveyance: direct } }
- { rpId: b.example, name: B, origins: ["https://b.example"], enabled: false }
`;

describe('the file of relying parties', () => {
  it('creates them at boot, as PUT would', async () => {
    const [b, example] = await boot(YAML);
    expect(b).toMatchObject({ rpId: 'b.example', enabled: false, version: 1 });
    expect(example).toMatchObject({
      rpId: 'login.example.com',
      name: 'Example',
      origins: ['https://login.example.com'],
      enabled: true,
      policy: { userVerification: 'preferred', attestation: { conveyance: 'direct', trust: 'any' }, backup: 'any' },
    });
  });

  it('records them as created by the service itself', async () => {
    await boot(YAML);
    const events = await database.dataSource.getRepository(AuditEventEntity).find();
    expect(events.map(({ type, actor }) => [type, actor])).toEqual([
      ['relying-party.create', null],
      ['relying-party.create', null],
    ]);
  });

  it('may be JSON', async () => {
    const list = [{ rpId: 'c.example', name: 'C', origins: ['https://c.example'] }];
    expect(await boot(JSON.stringify(list))).toMatchObject(list);
  });

  it('leaves those that exist alone, because they belong to the operator', async () => {
    await boot(YAML);
    await parties.put(null, 'b.example', { name: 'Changed', origins: ['https://b.example'] });
    expect((await boot(YAML))[0]).toMatchObject({ name: 'Changed', enabled: true, version: 2 });
  });

  it('is applied by one of the replicas that start together', async () => {
    await Promise.all([boot(YAML), boot(YAML), boot(YAML)]);
    expect((await boot(YAML)).map(({ version }) => version)).toEqual([1, 1]);
    expect(await database.dataSource.getRepository(AuditEventEntity).count()).toBe(2);
  });

  it('may name successors, in any order', async () => {
    const b = '- { rpId: b.example, name: B, origins: ["https://b.example"], successor: { rpId: c.example } }';
    const c = '- { rpId: c.example, name: C, origins: ["https://c.example"] }';
    for (let boots = 0; boots < 2; boots += 1)
      expect(await boot(`${b}\n${c}`)).toMatchObject([
        { rpId: 'b.example', version: 1, successor: { rpId: 'c.example', endsAt: null, registrations: 'accept' } },
        { rpId: 'c.example', version: 1, successor: null },
      ]);
    const chain = '- { rpId: a.example, name: A, origins: ["https://a.example"], successor: { rpId: b.example } }';
    await expect(boot(chain)).rejects.toThrow(ConfigError);
    await expect(boot(chain)).rejects.toThrow('/successor/rpId has a successor itself');
  });

  it('may be missing', async () => {
    expect(await boot('[]')).toEqual([]);
    expect(await boot(undefined)).toEqual([]);
  });
});

describe('development', () => {
  it('has a relying party for a page on this machine, beside those of the file', async () => {
    expect((await boot(undefined, false)).map(({ rpId, origins }) => [rpId, origins])).toEqual([
      ['localhost', ['http://localhost:3000']],
    ]);
    expect((await boot(YAML, false)).map(({ rpId }) => rpId)).toEqual(['b.example', 'localhost', 'login.example.com']);
  });

  it('uses the file’s relying party for this machine when the file has one', async () => {
    const found = await boot('[{ rpId: localhost, name: Mine, origins: ["http://localhost:4000"] }]', false);
    expect(found).toMatchObject([{ rpId: 'localhost', name: 'Mine' }]);
  });
});

describe('a file with a mistake stops the boot and creates nothing:', () => {
  it.each<[string, string, string]>([
    ['text that is not YAML', '[', 'is not plain YAML'],
    [
      'YAML 1.1, in which yes is true',
      `%YAML 1.1\n---\n- { rpId: a.example, name: A, origins: ["https://a.example"], enabled: yes }`,
      'a YAML directive',
    ],
    ['an anchor', '- &a { rpId: a.example, name: A, origins: ["https://a.example"] }', 'a YAML anchor'],
    ['a mapping', 'rpId: a.example', 'must hold a list'],
    ['nothing', '', 'must hold a list'],
    ['text', 'a.example', 'must hold a list'],
    ['an entry that is null', '- ~', 'entry 1'],
    ['an entry that is text', '- a.example', 'entry 1: must be an object'],
    ['an entry that is a list', '- []', 'entry 1'],
    ['an entry without rpId', '- { name: A, origins: ["https://a.example"] }', 'entry 1: rpId must be present'],
    ['an entry without a name', '- { rpId: a.example, origins: ["https://a.example"] }', 'entry 1: name must be text'],
    ['an unknown member', '- { rpId: a.example, name: A, origins: ["https://a.example"], orgins: [] }', 'orgins'],
    [
      'an rpId in capitals',
      '- { rpId: A.example, name: A, origins: ["https://a.example"] }',
      'rpId must be a lower-case domain',
    ],
    ['a malformed origin', '- { rpId: a.example, name: A, origins: ["https://a.example/"] }', 'origin'],
    [
      'an inner mistake',
      '- { rpId: a.example, name: A, origins: ["https://a.example"], policy: { backup: never } }',
      'backup must be one of',
    ],
    [
      'a successor that is the relying party itself',
      '- { rpId: a.example, name: A, origins: ["https://a.example"], successor: { rpId: a.example } }',
      'entry 1: successor.rpId is the relying party itself',
    ],
    [
      'a chain of successors',
      `- { rpId: a.example, name: A, origins: ["https://a.example"], successor: { rpId: b.example } }
- { rpId: b.example, name: B, origins: ["https://b.example"], successor: { rpId: c.example } }`,
      'entry 1: successor.rpId has a successor itself',
    ],
    [
      'a mistake in a successor',
      '- { rpId: a.example, name: A, origins: ["https://a.example"], successor: { rpId: b.example, endsAt: soon } }',
      'endsAt must be an RFC 3339 time from the year 0001 to 9999 of UTC',
    ],
    ['a mistake in the last entry', `${YAML}- { rpId: c.example }`, 'entry 3'],
    [
      'a mistake in each of two entries',
      '- { rpId: a.example }\n- { rpId: b.example, name: B, origins: [] }',
      'entry 2: origins',
    ],
    [
      'an element of a list',
      '- { rpId: a.example, name: A, origins: ["https://a.example"], policy: { algorithms: [-7, 5] } }',
      'algorithms[1] must be one of the following values: -48, -8, -7, -257, -35, -36, -37, -49, -50 (/policy/algorithms/1)',
    ],
  ])('%s', async (_, text, mistake) => {
    await expect(boot(text)).rejects.toThrow(ConfigError);
    await expect(boot(text)).rejects.toThrow(mistake);
    expect(await getParties().count()).toBe(0);
  });
});
