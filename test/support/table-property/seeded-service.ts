import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { Type } from '@nestjs/common';
import pg from 'pg';
import { DataSource } from 'typeorm';
import { LogArchiver } from '../../../commands/audit-archive/log-archiver.js';
import { runInArchiveSession } from '../../../commands/audit-archive/archive-session.js';
import { CheckpointScheduler } from '../../../src/audit-log/checkpoint-scheduler.js';
import { LOG_KEYS, type LogKeys } from '../../../src/audit-log/log-keys.js';
import { LogProofs } from '../../../src/audit-log/log-proofs.js';
import { SECRET_KEYS, type SecretKeys } from '../../../src/config/secret-keys.js';
import { Reconciler } from '../../../src/reconciliation/reconciler.js';
import { SealRegister } from '../../../src/seals/seal-register.js';
import { StatisticsCounter } from '../../../src/statistics/statistics-counter.js';
import { SuccessionWatch } from '../../../src/successors/succession-watch.js';
import { parseVerifierKeys, type VerifierKey } from '../../../src/tlog/keys.js';
import { packedSelf } from '../authenticator/attestation.js';
import { Authenticator } from '../authenticator/authenticator.js';
import type { Model } from '../authenticator/model.js';
import { Ceremonies, requireStatus } from '../ceremonies.js';
import { Client } from '../client.js';
import { toSpiffeId, TestService } from '../service.js';
import { LogReplica } from '../stored-log.js';
import { RECEIVERS, SeededStreams } from './seeded-streams.js';

const ACCESS_POLICY = `version: 1
trustDomain: passkey-manager.local
services:
  - id: ${toSpiffeId('auth-service')}
    permissions: [passkeys:register, passkeys:authenticate, passkeys:read, passkeys:manage]
  - id: ${toSpiffeId('operator')}
    permissions: [passkeys:erase, relying-parties:read, relying-parties:write, statistics:read]
  - id: ${toSpiffeId('fraud')}
    permissions: [events:manage, events:receive]
    relyingParties: [login.example.com, shop.example.com]
  - id: ${toSpiffeId('support')}
    permissions: [events:manage, events:receive]
    relyingParties: [login.example.com]
  - id: ${toSpiffeId('second')}
    permissions: [approvals:decide]
  - id: ${toSpiffeId('auditor')}
    permissions: [audit:read]
approvals:
  permissions: [passkeys:erase, relying-parties:write]
  ttlSeconds: 86400
`;

const LOGIN = 'login.example.com';
const SHOP = 'shop.example.com';
/** More than two stored hashes of 256 leaves. */
const LEAVES = 520;

/** A synced passkey that becomes backup eligible later. */
const GROWING: Partial<Model> = { backupEligible: false, backedUp: false };
const SECURITY_KEY: Partial<Model> = {
  ...GROWING,
  counts: true,
  aaguid: 'cb69481e-8ff7-4039-93ec-0a2729a154a8',
  algorithm: 'EdDSA',
  attachment: 'cross-platform',
  attestation: packedSelf,
  transports: ['usb'],
};

/** A user with a passkey. */
export interface Holder {
  readonly userId: string;
  readonly ceremonies: Ceremonies<string>;
  readonly authenticator: Authenticator;
  readonly id: string;
}

/**
 * The service on a database that has rows of every state in every table, made by the service itself. Nothing works on the
 * log or on rows in the background, so that a test takes each step.
 */
export class SeededService {
  readonly holders: Holder[] = [];
  /** The notes of the checkpoints that were signed over time and kept elsewhere. */
  readonly kept: string[] = [];
  keys: VerifierKey[] = [];
  readonly client: Client;
  readonly streams = new SeededStreams(this);
  /** A replica that works on the log. */
  replica: LogReplica;
  /** Periods of spent challenges are made for so many weeks. */
  weeks = 0;
  /** Events before this time are archived. */
  archivedUntil = new Date(0);

  private constructor(
    readonly service: TestService,
    readonly owner: pg.Client,
    private readonly directory: string,
  ) {
    this.replica = this.newReplica();
    this.client = new Client(service.running.httpsUrl, service.pki.ca, service.certificateOf);
    service.running.app.useLogger(false);
  }

  /** @param onEarlier called at an earlier time, when many rows are not yet what they are at the end */
  static async start(onEarlier: (owner: pg.Client) => Promise<void>): Promise<SeededService> {
    const service = await TestService.start({
      accessPolicy: ACCESS_POLICY,
      identities: ['second', ...RECEIVERS],
      env: { PASSKEY_SIGNAL_ISSUER: 'https://passkeys.bank.example' },
    });
    const owner = new pg.Client({ connectionString: service.database.ownerUrl });
    await owner.connect();
    const seeded = new SeededService(service, owner, await mkdtemp(join(tmpdir(), 'passkey-seeded-')));
    await seeded.of(CheckpointScheduler).onModuleDestroy();
    await seeded.of(Reconciler).onModuleDestroy();
    await seeded.of(SuccessionWatch).onModuleDestroy();
    await seeded.of(StatisticsCounter).onModuleDestroy();
    await seeded.of(SealRegister).beforeApplicationShutdown();
    seeded.keys = parseVerifierKeys(seeded.of(LogProofs).verifierKeys);
    await seeded.archiveFirstMonth();
    await seeded.makeEarlierRows();
    await onEarlier(owner);
    await seeded.makeLaterRows();
    await seeded.countStatistics();
    return seeded;
  }

  of<T>(type: { readonly prototype: T }): T {
    return this.service.running.app.get<T>(type as Type<T>, { strict: false });
  }

  /** Makes what is counted only where there is much: the passkeys of a large relying party, and a ceremony of this hour. */
  private async countStatistics(): Promise<void> {
    await this.of(StatisticsCounter).tick();
    const none = '"models":{},"otherModels":5000,"algorithms":{},"backup":{},"trust":{},"unused":0';
    await this.owner.query(
      `INSERT INTO statistic_credential VALUES ($1, '{"status":{"active":5000},${none}}', now())`,
      [LOGIN],
    );
    const hour = Math.floor(this.service.clock.now().getTime() / 3_600_000);
    for (const [rpId, kind] of [
      [LOGIN, 'success'],
      [SHOP, 'begun'],
    ]) {
      const row = [rpId, hour, 'authentication', kind];
      await this.owner.query(`INSERT INTO statistic_ceremony VALUES ($1, $2, $3, $4, '', 7)`, row);
    }
  }

  /** Makes a replica that works on the log, with the keys of the service. */
  newReplica(): LogReplica {
    const { app } = this.service.running;
    const keys = app.get<LogKeys>(LOG_KEYS, { strict: false });
    return new LogReplica(this.of(DataSource), this.service.clock, keys, this.secrets);
  }

  get secrets(): SecretKeys {
    return this.service.running.app.get<SecretKeys>(SECRET_KEYS, { strict: false });
  }

  /**
   * Reads as a caller. The answer is not compared with the contract, because SQL may have put anything into it.
   *
   * @throws Error if the service fails by what SQL has changed
   */
  async read(identity: string, path: string): Promise<void> {
    const { status, body } = await this.client.call(identity, 'GET', path);
    if (status === 500) throw new Error(`${path}: ${JSON.stringify(body)}`);
  }

  async stop(): Promise<void> {
    this.client.close();
    await this.owner.end();
    await this.service.stop();
    await rm(this.directory, { recursive: true, force: true });
  }

  private async archiveFirstMonth(): Promise<void> {
    const {
      replica,
      service: { clock, database },
    } = this;
    await replica.settle();
    const now = clock.now();
    const next = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1));
    clock.advance((next.getTime() - now.getTime()) / 1_000 + 3_600);
    await replica.partitions.make();
    this.archivedUntil = next;
    const request = { before: next, directory: this.directory, keys: this.keys, now: () => clock.now() };
    await runInArchiveSession(database.migratorUrl, (dataSource) =>
      Readable.from(new LogArchiver(dataSource, request).run()).toArray(),
    );
  }

  private async makeEarlierRows(): Promise<void> {
    const login = await this.service.relyingParty(LOGIN);
    const shop = await this.service.relyingParty(SHOP, { backupEligibilityChange: 'accept-growth' });
    for (const name of ['ann', 'bob', 'cyd', 'dan', 'kim']) await this.register(login, name, name !== 'dan');
    await this.register(shop, 'eve', false);
    await this.register(login, 'gus', false);
    await this.streams.create(LOGIN);
    await this.signIn('ann');
    await this.revokeUser('gus');
    await this.act('bob', 'suspend');
    await this.register(login, 'fay', false);
    for (const name of ['dan', 'fay', 'kim']) {
      requireStatus(await this.service.client.call('operator', 'DELETE', `/v1/users/${name}?rpId=${LOGIN}`), 202);
    }
    await this.succeed();
    await this.addUnusedRows();
  }

  private async makeLaterRows(): Promise<void> {
    const { service } = this;
    service.clock.advance(60);
    for (const name of ['ann', 'ann', 'dan']) await this.signIn(name);
    await this.signIn('eve', { flags: { BE: true, BS: true } });
    await this.failToSignIn('ann');
    await this.act('bob', 'reinstate');
    await this.act('bob', 'suspend');
    await this.act('cyd', 'revoke');
    await this.revokeUser('gus');
    await this.streams.change(service.clock.now());
    await this.rename('dan');
    await service.relyingParty(SHOP, { backupEligibilityChange: 'accept-growth' }, { name: 'The shop' });
    await this.decide('fay', 'approve');
    await this.decide('kim', 'refuse');
    this.holders.splice(
      this.holders.findIndex(({ userId }) => userId === 'fay'),
      1,
    );
    await this.fillLog();
  }

  private async fillLog(): Promise<void> {
    const { replica } = this;
    await replica.settle();
    await replica.record(LEAVES);
    await replica.settle();
    const { rows } = await this.owner.query<{ note: string }>('SELECT note FROM audit_checkpoint ORDER BY size');
    this.kept.push(...rows.map(({ note }) => note));
    await this.signIn('ann');
    await replica.record(2);
  }

  /** Relying parties that have ended, with the counts of their users. */
  private async succeed(): Promise<void> {
    for (const rpId of ['former.example.com', 'first.example.com']) {
      const successor = { rpId: LOGIN, endsAt: '2026-01-01T00:00:00Z', registrations: 'refuse' };
      await this.service.relyingParty(rpId, {}, { successor });
    }
    for (let ticks = 0; ticks < 3; ticks += 1) await this.of(SuccessionWatch).tick();
  }

  private async register(ceremonies: Ceremonies<string>, userId: string, counts: boolean): Promise<void> {
    const authenticator = new Authenticator(userId === 'eve' ? GROWING : counts ? SECURITY_KEY : {});
    const { id } = await ceremonies.registered(userId, authenticator);
    const unchecked = new Ceremonies(this.client, this.service.clock, 'auth-service', ceremonies.rpId);
    this.holders.push({ userId, ceremonies: unchecked, authenticator, id });
  }

  private getHolder(name: string): Holder {
    return this.holders.find(({ userId }) => userId === name)!;
  }

  private async signIn(name: string, interference = {}): Promise<void> {
    const { ceremonies, authenticator } = this.getHolder(name);
    await ceremonies.authenticated(authenticator, { interference });
    this.service.clock.advance(1);
  }

  private async failToSignIn(name: string): Promise<void> {
    const { ceremonies, authenticator } = this.getHolder(name);
    const answer = await ceremonies.authenticate(authenticator, { origin: 'https://another.example' });
    requireStatus(answer, 422);
  }

  private async act(name: string, verb: string): Promise<void> {
    const path = `/v1/credentials/${this.getHolder(name).id}/${verb}`;
    requireStatus(await this.service.client.call('auth-service', 'POST', path, { reason: `${verb} ${name}` }), 200);
    this.service.clock.advance(1);
  }

  private async revokeUser(name: string): Promise<void> {
    const path = `/v1/users/${name}/revoke?rpId=${LOGIN}`;
    requireStatus(await this.service.client.call('auth-service', 'POST', path, { reason: 'taken over' }), 200);
    this.service.clock.advance(1);
  }

  private async rename(name: string): Promise<void> {
    const path = `/v1/credentials/${this.getHolder(name).id}`;
    requireStatus(await this.service.client.call('auth-service', 'PATCH', path, { name: 'Renamed' }), 200);
  }

  private async decide(name: string, verb: string): Promise<void> {
    const { client } = this.service;
    type Listed = { data: { id: string; userId: string }[] };
    const { data } = requireStatus(await client.call<Listed>('second', 'GET', '/v1/approvals'), 200);
    const { id } = data.find(({ userId }) => userId === name)!;
    requireStatus(await client.call('second', 'POST', `/v1/approvals/${id}/${verb}`, { reason: 'asked for' }), 200);
  }

  /** Makes rows of the table that this version does not use any more. */
  private async addUnusedRows(): Promise<void> {
    await this.owner.query(`
      INSERT INTO challenge SELECT gen_random_uuid(), 'a.example', 'u-' || n, 'authentication', NULL, decode(md5(n::text), 'hex'),
        'x', FALSE, NULL, '2100-01-01' FROM generate_series(1, 2) AS n`);
  }
}
