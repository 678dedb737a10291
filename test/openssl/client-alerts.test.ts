import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { PasskeyManager } from '@passkey-manager/client';
import { Authority, type Issued, openssl } from './openssl.ts';

/** A gateway or another server than Node.js says by an alert what it holds against the certificate of the client. */
await describe('the client, before a server that sends alerts,', async () => {
  let directory: string;
  let trusted: Authority;
  let server: ChildProcess;
  let url: string;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'passkey-manager-alerts-'));
    trusted = await Authority.create(directory, 'trusted');
    const [key, cert] = [join(directory, 'server.key'), join(directory, 'server.crt')];
    await openssl(
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=server'],
      ...['-addext', 'subjectAltName = IP:127.0.0.1', '-keyout', key, '-out', cert],
    );
  });
  after(async () => {
    server.kill();
    await rm(directory, { recursive: true, force: true });
  });

  async function serve(): Promise<void> {
    const files = ['-cert', join(directory, 'server.crt'), '-key', join(directory, 'server.key')];
    await writeFile(join(directory, 'authority.pem'), (await trusted.certificate()) + (await trusted.list()));
    const trust = ['-CAfile', join(directory, 'authority.pem'), '-crl_check', '-Verify', '3', '-verify_return_error'];
    server = spawn('openssl', ['s_server', '-accept', '127.0.0.1:0', '-www', ...files, ...trust]);
    let output = '';
    for await (const chunk of server.stdout!) {
      const port = /^ACCEPT 127\.0\.0\.1:(\d+)$/m.exec((output += String(chunk)))?.[1];
      if (port === undefined) continue;
      url = `https://127.0.0.1:${port}`;
      return;
    }
    assert.fail(output);
  }

  async function expectRefusal({ certFile, keyFile }: Issued, alert: RegExp): Promise<void> {
    const client = new PasskeyManager({ url, certFile, keyFile, caFile: join(directory, 'server.crt') });
    await assert.rejects(client.listCredentials(), {
      code: 'client-certificate-refused',
      mayHaveArrived: false,
      attempts: 1,
      message: alert,
    });
    client.close();
  }

  await it('tells that its certificate was revoked, or that another authority has issued it', async () => {
    const revoked = await trusted.svid('revoked');
    await trusted.revoke(revoked);
    const foreign = await (await Authority.create(directory, 'foreign')).svid('foreign');
    await serve();
    await expectRefusal(revoked, /alert certificate revoked/);
    await expectRefusal(foreign, /alert unknown ca/);
    server.kill();
    await once(server, 'exit');
  });
});
