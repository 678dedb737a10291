import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { SignJWT } from 'jose';
import { readSigningKeys } from '../../src/signing-keys/read-signing-keys.js';
import { openssl } from './openssl.ts';

const run = promisify(execFile);
const KINDS = { algorithms: ['ES256', 'Ed25519'], otherwise: 'another key' } as const;

await test('The keys of receipts', async (suite) => {
  const directory = await mkdtemp(join(tmpdir(), 'passkey-manager-openssl-'));
  suite.after(() => rm(directory, { recursive: true }));
  const path = (name: string): string => join(directory, name);

  await suite.test('are made by the commands of the runbook', async () => {
    const runbook = await readFile('docs/runbook.md', 'utf8');
    const [, first = ''] =
      /^(openssl genpkey .*) > receipt\.key$/m.exec(await readFile('docs/deployment.md', 'utf8')) ?? [];
    const [, next = ''] = /^ *(\{ cat receipt\.key && .*) > receipt-new\.key \|\|/m.exec(runbook) ?? [];
    await run('sh', ['-c', `${first} > receipt.key && ${next} > receipt-new.key`], { cwd: directory });
    const [one] = await readSigningKeys(await readFile(path('receipt.key'), 'utf8'), KINDS);
    const both = await readSigningKeys(await readFile(path('receipt-new.key'), 'utf8'), KINDS);
    assert.deepEqual([both.length, both[0].kid, both[0].algorithm], [2, one.kid, 'ES256']);
  });

  await suite.test('sign by Ed25519 what OpenSSL verifies', async () => {
    const pem = await openssl('genpkey', '-algorithm', 'ed25519');
    const [{ privateKey, algorithm, kid }] = await readSigningKeys(pem, KINDS);
    const receipt = await new SignJWT({ sub: 'ada' }).setProtectedHeader({ alg: algorithm, kid }).sign(privateKey);
    const [header, payload, signature = ''] = receipt.split('.');
    await writeFile(path('ed25519.key'), pem);
    await writeFile(path('signature'), Buffer.from(signature, 'base64url'));
    const verify = async (text: string): Promise<string> => {
      await writeFile(path('signed'), text);
      const files = ['-inkey', path('ed25519.key'), '-in', path('signed'), '-sigfile', path('signature')];
      return openssl('pkeyutl', '-verify', '-rawin', ...files);
    };
    assert.match(await verify(`${header!}.${payload!}`), /Verified Successfully/);
    await assert.rejects(verify(`${header!}.${payload!}A`));
  });
});
