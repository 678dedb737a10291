import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { Authenticator } from '../support/authenticator/authenticator.js';
import type { AuditEvent, Page } from '../support/bodies.js';
import { ServiceProcess } from '../support/service-process.js';
import { until } from '../support/until.js';
import { listPrograms, SoftToken } from './soft-token.js';

await describe('A service whose keys are in a token', async () => {
  let token: SoftToken;
  let dataDir: string;
  let service: ServiceProcess;
  const authenticator = new Authenticator();

  const start = async (audit: string, binding: string): Promise<ServiceProcess> => {
    const files = {
      PASSKEY_AUDIT_KEY_FILE: await token.write('audit.key', audit),
      PASSKEY_BINDING_KEY_FILE: await token.write('binding.key', `${binding}\n`),
    };
    return ServiceProcess.start(dataDir, '', { ...token.env, ...files });
  };
  const restart = async (audit: string): Promise<void> => {
    await service.stop();
    service = await start(audit, token.uri('binding'));
  };
  const read = async (path: string): Promise<string> =>
    (await service.client.send<string>('auditor', 'GET', `/v1/audit/${path}`)).body;
  const countEvents = async (type: string): Promise<number> => {
    const { body } = await service.client.call<Page<AuditEvent>>('auditor', 'GET', `/v1/audit/events?type=${type}`);
    return body.data.length;
  };
  const readSize = async (): Promise<number> => Number((await read('checkpoint')).split('\n')[1]);
  const readMetrics = async (): Promise<string> => (await fetch(`${service.managementUrl}/metrics`)).text();
  /** Signs the passkey in, and waits until a checkpoint covers that. */
  const signIn = async (): Promise<void> => {
    const size = await readSize();
    await service.ceremonies.authenticated(authenticator);
    await until(async () => (await readSize()) > size);
  };
  /** Verifies an export up to the newest checkpoint as `npm run audit:verify` does. @throws Error if it does not verify */
  const verifyLog = async (...keyFiles: string[]): Promise<void> => {
    const file = await token.write('export.ndjson', await read('export'));
    const args = ['dist/commands/audit-verify.js', file, ...keyFiles.flatMap((name) => ['--key', token.path(name)])];
    await promisify(execFile)(process.execPath, args);
  };

  before(async () => {
    token = await SoftToken.create();
    dataDir = await mkdtemp(join(tmpdir(), 'passkey-manager-pkcs11-'));
    await token.makeKeyPair('audit', 'EC:edwards25519', '01');
    await token.makeSecret('binding', '02', '--sensitive');
    service = await start(token.uri('audit'), token.uri('binding'));
  });
  after(async () => {
    await service.stop();
    await token.destroy();
    await rm(dataDir, { recursive: true });
  });

  await it('registers a passkey, and the token has signed the log', async () => {
    await service.ceremonies.registered('ada', authenticator);
    await signIn();
    const key = await read('key');
    const [, base64 = ''] = /\+[0-9a-f]{8}\+(\S+)\n$/.exec(key) ?? [];
    const point = Buffer.from(base64, 'base64').subarray(1).toString('hex');
    assert.equal(await token.readEd25519Point(), `0420${point}`);
    await token.write('token.pub', key);
    await verifyLog('token.pub');
  });

  await it('signs the passkey in after a restart, and continues the log', async () => {
    await restart(token.uri('audit'));
    await signIn();
    await verifyLog('token.pub');
  });

  await it('goes on when the program that holds the module is killed', async () => {
    const [program] = await until(() => {
      const programs = listPrograms(service.pid);
      return programs.length > 0 && programs;
    });
    process.kill(program!, 'SIGKILL');
    await signIn();
    await verifyLog('token.pub');
  });

  await it('signs people in while the token is away, and loses no event', async () => {
    await token.remove();
    await service.ceremonies.authenticated(authenticator);
    await until(async () => /passkey_audit_failing\{failure="sequencer-failed".*\} 1$/m.test(await readMetrics()));
    await service.ceremonies.authenticated(authenticator);
    const size = await readSize();
    await token.putBack();
    await until(async () => (await readSize()) > size);
    await verifyLog('token.pub');
    await until(async () => (await countEvents('credential.verify')) === 5);
  });

  await it('takes a new key pair before the old one, and the log says so', async () => {
    await token.makeKeyPair('audit-2', 'EC:edwards25519', '03');
    await restart(`${token.uri('audit-2')}\n${token.uri('audit')}\n`);
    await signIn();
    await token.write('new.pub', await read('key'));
    await verifyLog('token.pub', 'new.pub');
    await restart(token.uri('audit-2'));
    await signIn();
    await verifyLog('token.pub', 'new.pub');
    assert.equal(await countEvents('audit.rekey'), 1);
  });

  await it('does not start, and says why', async () => {
    await service.stop();
    await token.makeSecret('other', '04', '--sensitive');
    const pin = await token.write('wrong', '999999');
    const [audit, binding] = [token.uri('audit-2'), token.uri('binding')];
    const mistakes: readonly (readonly [[string, string], RegExp])[] = [
      [
        [token.uri('audit-2', { pin }), binding],
        /PASSKEY_AUDIT_KEY_FILE: key 1 of the key file cannot be used: the token "passkeys" refuses the PIN in/,
      ],
      [[audit, token.uri('nobody')], /PASSKEY_BINDING_KEY_FILE: the secret key "nobody" of the token .* is not there/],
      [[audit, token.uri('other')], /PASSKEY_BINDING_KEY_FILE .*key/],
    ];
    for (const [keys, sentence] of mistakes) {
      await assert.rejects(
        start(...keys),
        ({ message }: Error) => sentence.test(message) && !message.includes('999999'),
      );
    }
    await token.remove();
    await assert.rejects(start(audit, binding), /no token has the label "passkeys"/);
    await token.putBack();
    service = await start(audit, binding);
    await signIn();
  });
});
