import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { Server } from '../../tools/continuity/postgres.js';
import { Authenticator } from '../support/authenticator/authenticator.js';
import { ServiceProcess } from '../support/service-process.js';
import { until } from '../support/until.js';
import { runProgram, Site } from './installed.js';

await describe('A URL with several servers', async () => {
  let site: Site;
  let primary: Server;
  let standby: Server;
  let service: ServiceProcess;
  let env: NodeJS.ProcessEnv;

  /** Registers users one after the other until one succeeds. @returns the statuses, and whether each 503 said when to come back */
  const registerAgain = async (): Promise<{ statuses: number[]; patient: boolean }> => {
    const statuses: number[] = [];
    let patient = true;
    await until(async () => {
      const { ceremonies } = service;
      const issued = await ceremonies.requestRegistration(`user-${String(Math.random())}`);
      let answer: typeof issued | Awaited<ReturnType<typeof ceremonies.answerRegistration>> = issued;
      if (issued.status === 201) {
        const response = new Authenticator().create(issued.body.publicKey, ceremonies.origin);
        answer = await ceremonies.answerRegistration(issued.body.challengeId, response);
      }
      statuses.push(answer.status);
      if (answer.status === 503) patient &&= answer.headers['retry-after'] !== undefined;
      return answer.status === 201;
    });
    return { statuses, patient };
  };

  before(async () => {
    site = await Site.create();
    env = await site.prepareProduction();
    primary = await site.createServer('primary', [`listen_addresses = '127.0.0.1, ::1'`]);
    standby = await Server.standBy(site.programs, site.path('standby'), primary);
  });
  after(async () => {
    await service.kill();
    for (const server of [primary, standby]) await server.stop();
    await rm(site.directory, { recursive: true, force: true });
  });

  await it('a standby alone is refused in one sentence', async () => {
    const { code, said } = await runProgram('src/main.js', { ...env, DATABASE_URL: standby.url('passkey_manager') });
    assert.equal(code, 1);
    assert.match(said, /it takes no writes: it is a standby/);
    assert.doesNotMatch(said, /\n\s+at /);
  });

  await it('a server that does not take connections yet (57P03) is refused in one sentence', async () => {
    await standby.stop();
    // pg_ctl waits in vain for such a server.
    const starting = standby.start(['hot_standby = off']).catch(() => undefined);
    await until(async () => /57P03/.test(await standby.sql('SELECT 1').then(() => '', codeOf)));
    const { code, said } = await runProgram('src/main.js', { ...env, DATABASE_URL: standby.url('passkey_manager') });
    await standby.stop();
    await starting;
    await standby.start(['hot_standby = on']);
    assert.equal(code, 1);
    assert.match(
      said,
      /DATABASE_URL names a database that cannot be used: it starts or stops.*\(the database system is/,
    );
  });

  await it('the service uses the primary, though the standby stands before it, also by IPv6', async () => {
    const servers = `127.0.0.1:${String(standby.port)},[::1]:${String(primary.port)},127.0.0.1:${String(primary.port)}`;
    const url = `postgresql://passkey_manager@${servers}/passkey_manager?target_session_attrs=read-write`;
    service = await ServiceProcess.start(site.path('prepared'), url, {
      ...env,
      PASSKEY_RELYING_PARTIES_FILE: undefined,
    });
    const settings = { name: 'Trial', origins: ['http://localhost:3000'] };
    const { status } = await service.client.call('operator', 'PUT', '/v1/relying-parties/localhost', settings);
    assert.equal(status, 201);
    assert.deepEqual(await registerAgain(), { statuses: [201], patient: true });
  });

  await it('a primary that becomes read-only is left with 503, and used again without a restart', async () => {
    await primary.sql(`ALTER SYSTEM SET default_transaction_read_only = on`);
    await primary.sql('SELECT pg_reload_conf()');
    await until(async () => (await service.ceremonies.requestRegistration('ada')).status === 503);
    await until(async () => (await fetch(`${service.managementUrl}/health/ready`)).status === 503);
    const sessions = `SELECT count(*) = 0 AS holds FROM pg_stat_activity WHERE application_name = 'passkey-manager'`;
    await primary.untilHolds(sessions);
    await primary.sql(`ALTER SYSTEM RESET default_transaction_read_only`);
    await primary.sql('SELECT pg_reload_conf()');
    const { statuses, patient } = await registerAgain();
    assert.deepEqual(
      [statuses.slice(0, -1).every((status) => status === 503), statuses.at(-1), patient],
      [true, 201, true],
    );
  });

  await it('after a crash of the primary, the promoted standby is used without a restart', async () => {
    await primary.crash();
    await until(async () => (await service.ceremonies.requestRegistration('ada')).status === 503);
    await standby.promote();
    const { statuses, patient } = await registerAgain();
    assert.deepEqual(
      [statuses.slice(0, -1).every((status) => status === 503), statuses.at(-1), patient],
      [true, 201, true],
    );
    await until(async () => (await fetch(`${service.managementUrl}/health/ready`)).status === 200);
  });
});

function codeOf(error: unknown): string {
  return (error as { code?: string }).code ?? '';
}
