import assert from 'node:assert/strict';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../dev/embedded-postgres/embedded-postgres.js';
import { Helm } from '../deploy/helm.js';
import { Authority, type Issued } from '../openssl/openssl.js';
import { until } from '../support/until.js';
import { docker, type PodSpec, toDockerArguments, Volumes } from './pod.js';

const IMAGE = process.env['PASSKEY_IMAGE'] ?? 'passkey-manager:local';
const POLICY = `version: 1
trustDomain: bank.example
services:
  - id: spiffe://bank.example/auth-service
    permissions: [passkeys:read]
`;

/** An audit key of each kind, as PEM. */
const makeAuditKeys = (): string =>
  [generateKeyPairSync('ed25519'), generateKeyPairSync('ml-dsa-44')]
    .map(({ privateKey }) => privateKey.export({ type: 'pkcs8', format: 'pem' }))
    .join('');

await describe('The image, run as the manifests say, in production and without what development generates', async () => {
  const container = `passkey-manager-test-${String(process.pid)}`;
  let directory: string;
  let postgres: EmbeddedPostgres;
  let volumes: Volumes;
  let authority: Authority;
  let caller: Issued;
  let ca: string;
  let pods: Readonly<Record<'Deployment' | 'Job', PodSpec>>;
  let addresses: { https: string; management: string };

  const readyStatus = (): Promise<number> =>
    fetch(`${addresses.management}/health/ready`).then(
      ({ status }) => status,
      () => 0,
    );

  /** @returns the status of a list of credentials, or the reason why there is no answer */
  const call = (): Promise<number | string> =>
    new Promise((resolve) => {
      const { hostname, port } = new URL(addresses.https);
      const checkServerIdentity = (): undefined => undefined;
      const { cert, key } = caller;
      const options = { host: hostname, port, path: '/v1/credentials', cert, key, ca, agent: false };
      request({ ...options, checkServerIdentity }, ({ statusCode = 0 }) => {
        resolve(statusCode);
      })
        .on('error', ({ message }) => {
          resolve(message);
        })
        .end();
    });

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'passkey-manager-image-'));
    postgres = await startEmbeddedPostgres({ directory: join(directory, 'data'), durable: false });
    const withoutPassword = (url: string): string => Object.assign(new URL(url), { password: '' }).href;
    const colon = IMAGE.lastIndexOf(':');
    const manifests = await (
      await Helm.open('4.1.4')
    ).template({
      image: { repository: IMAGE.slice(0, colon), tag: IMAGE.slice(colon + 1) },
      database: { url: withoutPassword(postgres.url) },
      migration: { databaseUrl: withoutPassword(postgres.migratorUrl) },
    });
    const podOf = (kind: string): PodSpec =>
      // eslint-disable-next-line @typescript-eslint/no-unsafe-member-access -- the specification of the kind
      manifests.find((it) => it.kind === kind)?.spec.template.spec as PodSpec;
    pods = { Deployment: podOf('Deployment'), Job: podOf('Job') };

    authority = await Authority.create(directory, 'workloads');
    ca = await authority.certificate();
    const own = await authority.svid('passkey-manager');
    caller = await authority.svid('auth-service');
    volumes = new Volumes(join(directory, 'volumes'), pods.Deployment.securityContext.fsGroup);
    const secret = (name: string, files: Record<string, string>): void => {
      volumes.write(name, files, 0o440);
    };
    secret('passkey-manager-database', { password: `${new URL(postgres.url).password}\n` });
    secret('passkey-manager-migrator', { password: new URL(postgres.migratorUrl).password });
    secret('passkey-manager-tls', { 'tls.crt': own.cert, 'tls.key': own.key, 'ca.crt': ca });
    secret('passkey-manager-keys', {
      'audit.key': makeAuditKeys(),
      'binding.key': randomBytes(32).toString('base64'),
    });
    volumes.write('passkey-manager-crl', { 'ca.crl': await authority.list() });
    volumes.write('passkey-manager-access-policy', { 'access-policy.yaml': POLICY });
  });
  after(async () => {
    await docker('rm', '--force', container).catch(() => undefined);
    await postgres.stop();
    await rm(directory, { recursive: true, force: true });
  });

  await it('migrates and grants', async () => {
    const said = await docker('run', '--rm', ...toDockerArguments(pods.Job, volumes));
    assert.match(said, /^Migrated: .*\nRan grants\.sql\.\n$/);
  });

  await it('starts, and is ready', async () => {
    const ports = { PASSKEY_HTTPS_PORT: '0', PASSKEY_MANAGEMENT_PORT: '0' };
    await docker('run', '--detach', '--name', container, ...toDockerArguments(pods.Deployment, volumes, ports));
    let listening: string | undefined;
    await until(async () => {
      const lines = (await docker('logs', container)).split('\n');
      listening = lines.find((line) => line.includes('"listening"'));
      const running = await docker('inspect', '--format={{.State.Running}}', container);
      assert.equal(running.trim(), 'true', lines.join('\n'));
      return listening !== undefined;
    });
    addresses = JSON.parse(listening ?? '') as typeof addresses;
    for (const name of ['https', 'management'] as const) {
      addresses[name] = addresses[name].replace('0.0.0.0', '127.0.0.1');
    }
    await until(async () => (await readyStatus()) === 200);
  });

  await it('answers a caller over mutual TLS', async () => {
    assert.equal(await call(), 200);
  });

  await it('holds no privilege, and can write nothing', async () => {
    const status = await docker('exec', container, 'cat', '/proc/1/status');
    assert.match(status, /^Uid:\t1000\t1000\t1000\t1000$/m);
    assert.match(status, /^CapEff:\t0{16}$/m);
    assert.match(status, /^CapBnd:\t0{16}$/m);
    assert.match(status, /^NoNewPrivs:\t1$/m);
    assert.match(status, /^Seccomp:\t2$/m);
    for (const path of ['/app', '/tmp', '/etc/passkey-manager/keys', '/var/lib/passkey-manager']) {
      await assert.rejects(docker('exec', container, 'touch', `${path}/x`), /Read-only file system/);
    }
  });

  await it('refuses a caller once a changed ConfigMap revokes its certificate', async () => {
    await authority.revoke(caller);
    volumes.write('passkey-manager-crl', { 'ca.crl': await authority.list() });
    await until(async () => (await call()) !== 200);
    caller = await authority.svid('auth-service');
    assert.equal(await call(), 200);
  });

  await it('ends with 0 on a signal, within the time that its pod gives', async () => {
    await docker('stop', '--time', '30', container);
    assert.equal((await docker('inspect', '--format={{.State.ExitCode}}', container)).trim(), '0');
  });
});

await describe('The image', async () => {
  const exec = (...command: string[]): Promise<string> => docker('run', '--rm', '--network=none', IMAGE, ...command);

  for (const program of [
    'audit-archive',
    'audit-report',
    'audit-verify',
    'evidence',
    'inventory',
    'keys',
    'migrate',
    'reconcile',
  ]) {
    await it(`has ${program}`, async () => {
      assert.match(await exec('node', `dist/commands/${program}.js`, '--help'), /^Exit codes:/m);
    });
  }

  await it('holds no development code, no test and no source', async () => {
    const found = await exec('find', '/app', '-path', '*/node_modules', '-prune', '-o', '-type', 'f', '-print');
    const files = found.trim().split('\n');
    assert.ok(files.includes('/app/dist/src/main.js'));
    const stray = files.filter((file) => /\/dist\/(?:dev|test)\/|\.spec\.|\.ts$|\.(?:key|pem|crt)$|\.env/.test(file));
    assert.deepEqual(stray, []);
  });

  await it('owns no file that the service could change', async () => {
    assert.equal(
      await exec('find', '/app', '(', '-user', '1000', '-o', '-perm', '/022', ')', '-not', '-type', 'l'),
      '',
    );
  });
});
