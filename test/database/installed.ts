import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, mkdtempSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findFreePort, Programs, Server } from '../../tools/continuity/postgres.js';
import { until } from '../support/until.js';

const openssl = (...args: string[]): Promise<unknown> => promisify(execFile)('openssl', args);

const ROOT = join(import.meta.dirname, '../..');
/** Where Debian installs the oldest PostgreSQL that is supported. */
const BINARIES = '/usr/lib/postgresql/15/bin';

export interface Ended {
  readonly code: number;
  /** What it said on standard error. */
  readonly said: string;
}

/** A directory that the account of the servers can reach, with the programs of an installed PostgreSQL. */
export class Site {
  readonly directory: string;
  readonly programs: Programs;

  private constructor(directory: string, programs: Programs) {
    this.directory = directory;
    this.programs = programs;
  }

  static async create(): Promise<Site> {
    const directory = mkdtempSync(join(tmpdir(), 'passkey-manager-database-'));
    chmodSync(directory, 0o711);
    return new Site(directory, await Programs.find(BINARIES));
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  /** Makes a server with the service's database, which trusts every session. */
  async createServer(name: string, settings: readonly string[] = []): Promise<Server> {
    const server = await Server.create(this.programs, this.path(name), settings);
    await server.prepare();
    await server.migrate();
    return server;
  }

  /** Makes the files that production demands. @returns the environment that names them */
  async prepareProduction(): Promise<NodeJS.ProcessEnv> {
    const [prepared, files] = [this.path('prepared'), this.path('service')];
    await promisify(execFile)(process.execPath, ['dist/dev/prepare.js', prepared, files], { cwd: ROOT });
    return {
      PATH: process.env['PATH'],
      NODE_ENV: 'production',
      PASSKEY_ALLOW_DEVELOPMENT: 'true',
      PASSKEY_HTTPS_PORT: '0',
      PASSKEY_MANAGEMENT_PORT: '0',
      PASSKEY_TLS_CERT_FILE: join(files, 'pki/server.crt'),
      PASSKEY_TLS_KEY_FILE: join(files, 'pki/server.key'),
      PASSKEY_TLS_CA_FILE: join(files, 'pki/ca.crt'),
      PASSKEY_TLS_CRL_FILE: join(files, 'pki/ca.crl'),
      PASSKEY_ACCESS_POLICY_FILE: join(files, 'access-policy.yaml'),
      PASSKEY_AUDIT_KEY_FILE: join(files, 'audit.key'),
      PASSKEY_BINDING_KEY_FILE: join(files, 'binding.key'),
    };
  }
}

/** Runs a built program to its end. A service that starts although it should not is ended after a minute. */
export function runProgram(program: string, env: NodeJS.ProcessEnv): Promise<Ended> {
  const { promise, resolve } = Promise.withResolvers<Ended>();
  execFile(process.execPath, [join('dist', program)], { cwd: ROOT, env, timeout: 60_000 }, (error, _, stderr) => {
    resolve({ code: error ? Number(error.code ?? -1) : 0, said: stderr });
  });
  return promise;
}

/** An authority and what it issues, PEM. */
export class Issuer {
  private readonly site: Site;
  private readonly name: string;

  private constructor(site: Site, name: string) {
    this.site = site;
    this.name = name;
  }

  static async create(site: Site, name: string): Promise<Issuer> {
    const issuer = new Issuer(site, name);
    const key = ['-newkey', 'rsa:2048', '-nodes', '-keyout', issuer.path('key')];
    await openssl('req', '-x509', ...key, '-out', issuer.certificate, '-subj', `/CN=${name}`, '-days', '30');
    await writeFile(issuer.path('cnf'), issuer.configuration);
    await writeFile(issuer.path('index'), '');
    await writeFile(issuer.path('serial'), '01\n');
    return issuer;
  }

  get certificate(): string {
    return this.path('crt');
  }

  /** @param end as `openssl ca -enddate` takes it */
  async issue(subject: string, host: string, end = '20490101000000Z'): Promise<{ cert: string; key: string }> {
    const [cert, key, csr] = ['crt', 'key', 'csr'].map((type) =>
      this.site.path(`${this.name}-${subject}-${end}.${type}`),
    );
    const names = ['-subj', `/CN=${subject}`, '-addext', `subjectAltName=DNS:${host}`];
    await openssl('req', '-new', '-newkey', 'rsa:2048', '-nodes', '-keyout', key!, '-out', csr!, ...names);
    const life = ['-startdate', '20200101000000Z', '-enddate', end];
    await openssl('ca', '-batch', '-config', this.path('cnf'), ...life, '-in', csr!, '-out', cert!, '-notext');
    return { cert: cert!, key: key! };
  }

  private path(type: string): string {
    return this.site.path(`${this.name}.${type}`);
  }

  private get configuration(): string {
    return `[ca]
default_ca = files
[files]
database = ${this.path('index')}
serial = ${this.path('serial')}
new_certs_dir = ${this.site.directory}
certificate = ${this.certificate}
private_key = ${this.path('key')}
default_md = sha256
policy = any
copy_extensions = copy
unique_subject = no
[any]
commonName = supplied
`;
  }
}

/** PgBouncer in front of a server. PGBOUNCER names another program than the installed one. */
export class Pooler {
  readonly port: number;
  private readonly child: ChildProcess;

  private constructor(child: ChildProcess, port: number) {
    this.child = child;
    this.port = port;
  }

  static get program(): string {
    return process.env['PGBOUNCER'] ?? '/usr/sbin/pgbouncer';
  }

  /** @returns such as 1.18 */
  static async readVersion(): Promise<number> {
    const { stdout } = await promisify(execFile)(Pooler.program, ['--version']);
    return Number(/(\d+\.\d+)/.exec(stdout)?.[1]);
  }

  static async start(site: Site, server: Server, settings: readonly string[]): Promise<Pooler> {
    const port = await findFreePort();
    const file = site.path(`pgbouncer-${String(port)}`);
    const { programs } = site;
    programs.give(`${file}.users`, '"passkey_manager" ""\n"passkey_migrator" ""\n');
    programs.give(
      `${file}.ini`,
      `[databases]
passkey_manager = host=127.0.0.1 port=${String(server.port)}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${String(port)}
unix_socket_dir =
auth_type = trust
auth_file = ${file}.users
${settings.join('\n')}
`,
    );
    const child = spawn(Pooler.program, [`${file}.ini`], { ...programs.account, stdio: 'ignore' });
    const pooler = new Pooler(child, port);
    await until(() => server.sqlAt(pooler.url('passkey_manager'), 'SELECT 1').then(() => true, isAnswer));
    return pooler;
  }

  url(role: string): string {
    return `postgresql://${role}@127.0.0.1:${String(this.port)}/passkey_manager`;
  }

  stop(): void {
    this.child.kill('SIGKILL');
  }
}

/** An error with a code of PostgreSQL is an answer. */
const isAnswer = (error: { code?: string }): boolean => /^[0-9A-Z]{5}$/.test(error.code ?? '');
