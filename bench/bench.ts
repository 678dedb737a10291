/**
 * `npm run bench`: authentications per second (challenge and verification: two requests over mutual TLS), of the service
 * on its embedded PostgreSQL and of the floor in turn, as medians of the same run. Needs no network.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import type {
  PublicKeyCredentialCreationOptionsJSON,
  PublicKeyCredentialRequestOptionsJSON,
} from '@simplewebauthn/server';
import { Pool } from 'undici';
import { Authenticator } from '../test/support/authenticator/authenticator.js';
import { closedLoop, type Measurement, median } from './load.js';
import { cpuSeconds, postgresOf, start, stop } from './processes.js';

const CLIENTS = [1, 8, 32];
const ROUNDS = 3;
const SECONDS = 3;
const ORIGIN = 'http://localhost:3000';

interface Challenge<Options> {
  readonly challengeId: string;
  readonly publicKey: Options;
}

type Post = <Answer>(path: string, body: unknown) => Promise<Answer>;
interface Round extends Measurement {
  /** Milliseconds of CPU for a ceremony. */
  readonly serviceCpu: number;
  readonly databaseCpu: number;
}

const dataDir = mkdtempSync(join(tmpdir(), 'passkey-bench-'));
const pki = join(dataDir, 'pki');
const progress = (text: string): void => {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
};

function poster(url: string): Post {
  const connect = {
    ca: readFileSync(join(pki, 'ca.crt')),
    cert: readFileSync(join(pki, 'auth-service.crt')),
    key: readFileSync(join(pki, 'auth-service.key')),
  };
  const pool = new Pool(url, { connections: 32, connect });
  return async (path, body) => {
    const request = {
      method: 'POST',
      path,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    };
    const { statusCode, body: answer } = await pool.request(request);
    const text = await answer.text();
    if (statusCode >= 300) throw new Error(`${path} answered ${String(statusCode)}: ${text}`);
    return JSON.parse(text) as never;
  };
}

/** A user with a passkey for each client, so that no two of them meet in one row. */
async function enrol(post: Post): Promise<Authenticator[]> {
  const authenticators: Authenticator[] = [];
  for (let client = 0; client < Math.max(...CLIENTS); client += 1) {
    const authenticator = new Authenticator();
    const { challengeId, publicKey } = await post<Challenge<PublicKeyCredentialCreationOptionsJSON>>(
      '/v1/challenges/registration',
      {
        rpId: 'localhost',
        user: { id: `bench-${String(client)}`, name: 'bench', displayName: 'Bench' },
        identityProof: { method: 'bench', verifiedAt: new Date().toISOString() },
      },
    );
    await post('/v1/credentials', { challengeId, response: authenticator.create(publicKey, ORIGIN) });
    authenticators.push(authenticator);
  }
  return authenticators;
}

async function round(
  clients: number,
  pids: { service: number; database: number[] },
  ceremony: (client: number) => Promise<void>,
): Promise<Round> {
  const database = (): number => pids.database.reduce((sum, pid) => sum + cpuSeconds(pid), 0);
  const before = [cpuSeconds(pids.service), database()];
  const measured = await closedLoop(clients, SECONDS, ceremony);
  const per = 1_000 / (measured.perSecond * SECONDS);
  return {
    ...measured,
    serviceCpu: (cpuSeconds(pids.service) - before[0]!) * per,
    databaseCpu: (database() - before[1]!) * per,
  };
}

async function main(): Promise<void> {
  const hooks = ['--import', './test/support/typescript-resolution.mjs'];
  progress('starting the service');
  const service = await start(['dist/src/main.js'], {
    PASSKEY_DATA_DIR: dataDir,
    PASSKEY_HTTPS_PORT: '0',
    PASSKEY_MANAGEMENT_PORT: '0',
    DATABASE_URL: '',
    NODE_ENV: 'development',
  });
  const floor = await start([...hooks, 'bench/floor.ts', pki]);
  try {
    const posts = { service: poster(service.url), floor: poster(floor.url) };
    const authenticators = await enrol(posts.service);
    const authenticate = async (client: number): Promise<void> => {
      const request = { rpId: 'localhost', userId: `bench-${String(client)}` };
      const { challengeId, publicKey } = await posts.service<Challenge<PublicKeyCredentialRequestOptionsJSON>>(
        '/v1/challenges/authentication',
        request,
      );
      const response = authenticators[client]!.get(publicKey, ORIGIN);
      await posts.service('/v1/credentials/verify', { challengeId, response });
    };
    const passThrough = async (): Promise<void> => {
      await posts.floor('/v1/challenges/authentication', { rpId: 'localhost' });
      await posts.floor('/v1/credentials/verify', { challengeId: 'floor' });
    };
    const rows = [];
    for (const clients of CLIENTS) {
      const rounds: { service: Round[]; floor: Round[] } = { service: [], floor: [] };
      await closedLoop(clients, 1, authenticate);
      for (let n = 1; n <= ROUNDS; n += 1) {
        progress(`${String(clients)} clients, round ${String(n)} of ${String(ROUNDS)}`);
        rounds.service.push(
          await round(clients, { service: service.child.pid!, database: postgresOf(dataDir) }, authenticate),
        );
        rounds.floor.push(await round(clients, { service: floor.child.pid!, database: [] }, passThrough));
      }
      rows.push(summary(clients, rounds));
    }
    progress('');
    console.log(
      `Authentications, closed loop, medians of ${String(ROUNDS)} rounds of ${String(SECONDS)} s; ${String(cpus().length)} cores, ${cpus()[0]?.model ?? ''}`,
    );
    console.table(rows);
  } finally {
    await stop(floor.child);
    await stop(service.child);
    rmSync(dataDir, { recursive: true, force: true });
  }
  process.exit(0);
}

function summary(clients: number, { service, floor }: { service: Round[]; floor: Round[] }): Record<string, number> {
  const of = (rounds: Round[], member: keyof Round): number => median(rounds.map((each) => each[member]));
  const digits = (value: number, places: number): number => Number(value.toFixed(places));
  return {
    clients,
    'ceremonies/s': Math.round(of(service, 'perSecond')),
    'p50 ms': digits(of(service, 'p50'), 1),
    'p99 ms': digits(of(service, 'p99'), 1),
    'service CPU ms': digits(of(service, 'serviceCpu'), 2),
    'database CPU ms': digits(of(service, 'databaseCpu'), 2),
    'floor CPU ms': digits(of(floor, 'serviceCpu'), 2),
    'CPU × floor': digits(of(service, 'serviceCpu') / of(floor, 'serviceCpu'), 1),
    errors: service.reduce((sum, each) => sum + each.errors, 0),
  };
}

await main();
