import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { type RunningService, startService } from '../../src/app/start-service.js';
import { type Config, readConfig } from '../../src/config/config.js';
import { prepareDevelopment } from '../../dev/prepare-development.js';
import { Ceremonies, requireStatus } from './ceremonies.js';
import { CitusNodes } from './citus-nodes.js';
import { Client, type ClientCertificate } from './client.js';
import { Contract } from './contract.js';
import { createTestDatabase, type TestDatabase } from './database.js';
import { FakeClock } from './fake-clock.js';
import { Pki } from './pki.js';

export type DevelopmentIdentity = 'auth-service' | 'operator' | 'auditor' | 'stranger';

export const toSpiffeId = (name: string): string => `spiffe://passkey-manager.local/${name}`;

const TABLES = [
  'relying_party',
  'user_handle',
  'challenge',
  'credential',
  'approval',
  'signal_stream',
  'signal',
  'signal_excluded_subject',
];

export interface TestServiceOptions {
  /** The access policy as YAML; by default development's. */
  accessPolicy?: string;
  /** Names of further identities, besides development's. Each has the SPIFFE ID of its name. */
  identities?: readonly string[];
  /** Changes the certificates before the service starts. */
  prepare?: (pki: Pki) => Promise<void>;
  env?: NodeJS.ProcessEnv;
  /** Settings to replace that no variable can set so in development. */
  config?: Partial<Config>;
  /** The roots that the signer of FIDO metadata must lead to, PEM; by default FIDO's own. */
  metadataRoots?: readonly string[];
  /** The clock of other replicas on the same log. */
  clock?: FakeClock;
  /** Maps the URL of the database to the one that the service uses, such as that of a `Severable`. */
  databaseUrl?: (url: string) => Promise<string>;
}

/** Another process of the service on the same database and files. */
export interface Replica {
  readonly running: RunningService;
  readonly client: Client;
  stop(): Promise<void>;
}

interface RowsSession {
  readonly session: pg.Client;
  /** Maps the name of a table to its name there, and any other word to itself. */
  readonly toName: (word: string) => string;
}

/** The application under test: it runs in this process, with its own sockets, database and clock. */
export class TestService {
  private pool: pg.Pool | undefined;
  private atRows: Promise<RowsSession> | undefined;

  private constructor(
    readonly running: RunningService,
    readonly client: Client,
    readonly clock: FakeClock,
    readonly pki: Pki,
    readonly database: TestDatabase,
    readonly contract: Contract,
    readonly certificateOf: (identity: string) => ClientCertificate,
    readonly dataDir: string,
  ) {}

  static async start(options: TestServiceOptions = {}): Promise<TestService> {
    const dataDir = await mkdtemp(join(tmpdir(), 'passkey-manager-'));
    const [database] = await Promise.all([createTestDatabase(), prepareDevelopment(dataDir)]);
    const pki = new Pki(join(dataDir, 'pki'));
    const certificates = new Map<string, ClientCertificate>();
    // As long as those of development: a test may go on to the next month.
    const notAfter = new Date(Date.now() + 397 * 86_400_000);
    for (const name of options.identities ?? []) {
      certificates.set(name, await pki.issue({ uris: [toSpiffeId(name)], notAfter }));
    }
    await options.prepare?.(pki);
    if (options.accessPolicy) await writeFile(join(dataDir, 'access-policy.yaml'), options.accessPolicy);
    const { clock = new FakeClock() } = options;
    const url = (await options.databaseUrl?.(database.url)) ?? database.url;
    const config = { ...readTestConfig(url, dataDir, options.env), ...options.config };
    const running = await startService(config, clock, options.metadataRoots);
    const certificateOf = (identity: string): ClientCertificate =>
      certificates.get(identity) ?? pki.certificateOf(identity);
    const contract = Contract.load();
    const client = new Client(running.httpsUrl, pki.ca, certificateOf, contract);
    return new TestService(running, client, clock, pki, database, contract, certificateOf, dataDir);
  }

  /** Starts a replica with the files as they are now. @param url of another database, such as a restored one */
  async startReplica(
    url = this.database.url,
    env?: NodeJS.ProcessEnv,
    metadataRoots?: readonly string[],
  ): Promise<Replica> {
    const running = await startService(readTestConfig(url, this.dataDir, env), this.clock, metadataRoots);
    const client = new Client(running.httpsUrl, this.pki.ca, this.certificateOf, this.contract);
    const stop = async (): Promise<void> => {
      client.close();
      await running.stop();
    };
    return { running, client, stop };
  }

  /** Creates or replaces a relying party, and returns the ceremonies of its users. */
  async relyingParty(
    rpId: string,
    policy: Record<string, unknown> = {},
    settings: Record<string, unknown> = {},
  ): Promise<Ceremonies<string>> {
    const body = { name: rpId, origins: [`https://${rpId}`], policy, ...settings };
    const { status, body: answer } = await this.client.call('operator', 'PUT', `/v1/relying-parties/${rpId}`, body);
    if (status !== 200 && status !== 201) throw new Error(`PUT ${rpId}: ${JSON.stringify(answer)}`);
    return this.ceremonies(rpId);
  }

  ceremonies(rpId: string, caller = 'auth-service'): Ceremonies<string> {
    return new Ceremonies(this.client, this.clock, caller, rpId);
  }

  async readCredential<Body>(id: string): Promise<Body> {
    return requireStatus(await this.client.call<Body>('auth-service', 'GET', `/v1/credentials/${id}`), 200);
  }

  /** Returns the current value of a metric, summed over its labels. */
  async readMetric(name: string): Promise<number> {
    const text = await (await fetch(`${this.running.managementUrl}/metrics`)).text();
    const lines = text.split('\n').filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
    return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
  }

  /** Runs SQL as a role that may do everything, bypassing the service. */
  async sql<Row extends object>(text: string, values?: unknown[]): Promise<Row[]> {
    this.pool ??= new pg.Pool({ connectionString: this.database.ownerUrl, max: 2 }).on('error', () => undefined);
    return (await this.pool.query<Row>(text, values)).rows;
  }

  /**
   * Runs SQL in the database that holds the rows, which is a worker's on a Citus cluster, for triggers and policies. One session
   * runs all of it, until a test ends it.
   */
  async sqlAtRows<Row extends object>(text: string, values?: unknown[]): Promise<Row[]> {
    this.atRows ??= this.connectToRows();
    const { session, toName } = await this.atRows;
    return (await session.query<Row>(text.replaceAll(/\w+/g, toName), values)).rows;
  }

  private async connectToRows(): Promise<RowsSession> {
    await this.sql('SELECT');
    const found = await new CitusNodes().findRows(this.pool!);
    const session = new pg.Client({ connectionString: found?.url ?? this.database.ownerUrl });
    session.on('error', () => (this.atRows = undefined));
    await session.connect();
    if (found) await session.query('SET citus.enable_ddl_propagation TO off');
    return { session, toName: (word) => found?.shards.get(word) ?? word };
  }

  /**
   * Computes a digest of all tables except the audit log, which shows whether a test changed any row. That a receiver has used or
   * verified its stream counts as no change.
   */
  async digestTables(): Promise<Record<string, string>> {
    const rows: Readonly<Record<string, string>> = {
      signal_stream: `(SELECT to_jsonb(s) - '{active_at,verified_at}'::text[] AS row FROM signal_stream s)`,
      signal: `(SELECT * FROM signal WHERE kind <> 'verification')`,
    };
    const digests = TABLES.map((table) => {
      const source = rows[table] ?? table;
      return `(SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM ${source} t) AS ${table}`;
    });
    const [state] = await this.sql<Record<string, string>>(`SELECT ${digests.join(', ')}`);
    return state ?? {};
  }

  async stop(): Promise<void> {
    this.client.close();
    await this.running.stop();
    await this.pool?.end();
    await (await this.atRows)?.session.end();
    await this.database.drop();
    await rm(this.dataDir, { recursive: true, force: true });
  }
}

function readTestConfig(url: string, dataDir: string, env?: NodeJS.ProcessEnv): Config {
  return readConfig({
    NODE_ENV: 'test',
    PASSKEY_ALLOW_DEVELOPMENT: 'true',
    DATABASE_URL: url,
    PASSKEY_DATA_DIR: dataDir,
    PASSKEY_HTTPS_PORT: '0',
    PASSKEY_MANAGEMENT_PORT: '0',
    // Tests provoke what the service warns of, and read it in its answers, metrics and audit log.
    PASSKEY_LOG_LEVEL: process.env['PASSKEY_LOG_LEVEL'] ?? 'fatal',
    ...env,
  });
}
