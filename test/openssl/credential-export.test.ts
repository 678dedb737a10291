import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { formatEnd, formatHeader, signEnd } from '../../src/portability/export-frame.js';
import { formatVerifierKey, readLogSigners } from '../../src/tlog/keys.js';
import { openssl } from './openssl.ts';

const run = promisify(execFile);
const ORIGIN = 'passkey-manager/default';

await test('An export of passkeys', async (suite) => {
  const directory = await mkdtemp(join(tmpdir(), 'passkey-manager-openssl-'));
  suite.after(() => rm(directory, { recursive: true }));
  const write = (name: string, text: string): Promise<void> => writeFile(join(directory, name), text);

  const signers = readLogSigners(await openssl('genpkey', '-algorithm', 'ed25519'), ORIGIN);
  const header = { rpId: 'a.example', deployment: ORIGIN, exportedAt: '2026-11-30T20:15:00.000Z', exportId: 'x' };
  const body = `${formatHeader(header)}{"id":"1","name":"ü \\"\\\\ %s"}\n{"id":"2"}\n`;
  const digest = createHash('sha256').update(body).digest();
  const signature = await signEnd({ count: 2, digest }, { origin: ORIGIN, signers }, new Date());
  const file = body + formatEnd({ count: 2, leftOut: 0, digest: digest.toString('base64url'), signature });
  await write('audit.pub', signers.map(({ key }) => `${formatVerifierKey(key)}\n`).join(''));

  const page = await readFile('docs/portability.md', 'utf8');
  const [, commands = ''] = /```sh\n(sed '\$d' passkeys\.ndjson[\s\S]*?)```/.exec(page) ?? [];
  const verify = async (text: string): Promise<string> => {
    await write('passkeys.ndjson', text);
    return (await run('sh', ['-ec', commands], { cwd: directory })).stdout;
  };

  await suite.test('verifies by the commands of the page on moving in and out', async () => {
    assert.match(await verify(file), /^Signature Verified Successfully\n2\n$/);
  });

  await suite.test('does not if a line or the count was altered', async () => {
    await assert.rejects(verify(file.replace('"id":"2"', '"id":"3"')));
    await assert.rejects(verify(file.replace('credentials\\n2\\n', 'credentials\\n3\\n')));
    await assert.rejects(verify(file.replace('{"id":"2"}\n', '')));
  });
});
