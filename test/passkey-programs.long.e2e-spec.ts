import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Authenticator } from './support/authenticator/authenticator.js';
import { requireStatus } from './support/ceremonies.js';
import { TestService } from './support/service.js';

const RP_ID = 'login.example.com';
const DIRECTORY = mkdtempSync(join(tmpdir(), 'passkey-programs-'));
const inDirectory = (name: string): string => join(DIRECTORY, name);

const KEY = inDirectory('audit.pub');

let service: TestService;
beforeAll(async () => {
  service = await TestService.start();
  const login = await service.relyingParty(RP_ID);
  for (const user of ['ada', 'bob', 'bob']) await login.registered(user, new Authenticator());
  writeFileSync(KEY, requireStatus(await service.client.call<string>('auditor', 'GET', '/v1/audit/key'), 200));
});
afterAll(async () => {
  await service.stop();
  rmSync(DIRECTORY, { recursive: true, force: true });
});

/** The options by which a program calls as one of the callers. */
function optionsOf(identity: string, url = service.running.httpsUrl): string[] {
  const { cert, key } = service.certificateOf(identity);
  const files = { cert, 'cert-key': key, ca: service.pki.ca };
  return Object.entries(files).reduce<string[]>(
    (options, [name, pem]) => {
      const path = inDirectory(`${identity}.${name}.pem`);
      writeFileSync(path, pem);
      return [...options, `--${name}`, path];
    },
    ['--url', url],
  );
}

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(program: string, ...args: readonly string[]): Promise<Outcome> {
  const child = spawn(process.execPath, [
    '--disable-warning=ExperimentalWarning',
    `dist/commands/${program}.js`,
    ...args,
  ]);
  child.stdin.end();
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { code: code as number | null, stdout, stderr };
}

describe('npm run passkeys:export', () => {
  const OUT = inDirectory('export.ndjson');

  it('saves every passkey in a file that verifies, and that only its owner may read', async () => {
    const { code, stdout, stderr } = await run(
      'passkeys-export',
      '--rp-id',
      RP_ID,
      ...optionsOf('operator'),
      '--key',
      KEY,
      '--out',
      OUT,
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(new RegExp(`^${OUT}: 3 passkeys; it verifies, digest [\\w-]{43}\n$`));
    expect(readFileSync(OUT, 'utf8').trimEnd().split('\n')).toHaveLength(5);
    expect(statSync(OUT).mode & 0o777).toBe(0o600);
    expect(await run('passkeys-verify-export', OUT, '--key', KEY)).toMatchObject({ code: 0 });
  });

  it.each([
    [
      'a relying party that does not exist',
      'none.example.com',
      'operator',
      /^Nothing was exported: 404 relying-party-unknown /,
    ],
    ['a caller without the permission', RP_ID, 'auditor', /^Nothing was exported: 403 permission-denied /],
  ])('ends with 2 and the problem for %s', async (_, rpId, identity, sentence) => {
    const out = inDirectory('none.ndjson');
    const { code, stdout, stderr } = await run(
      'passkeys-export',
      '--rp-id',
      rpId,
      ...optionsOf(identity),
      '--key',
      KEY,
      '--out',
      out,
    );
    expect({ code, stdout, exists: existsSync(out) }).toEqual({ code: 2, stdout: '', exists: false });
    expect(stderr).toMatch(sentence);
  });

  it.each([
    ['breaks off', (lines: string[]) => lines.slice(0, 3), true, /is not saved: aborted\.\n$/],
    [
      'ends without its last line',
      (lines: string[]) => lines.slice(0, 4),
      false,
      /does not verify: line 4: the export is cut off/,
    ],
    [
      'was altered',
      (lines: string[]) => lines.map((line) => line.replace('"ada"', '"eve"')),
      false,
      /does not verify: line 5: the lines before/,
    ],
  ])('leaves no file, and the old one as it is, when the answer %s', async (_, change, breaks, sentence) => {
    const before = readFileSync(OUT, 'utf8');
    const answer = change(before.trimEnd().split('\n'))
      .map((line) => `${line}\n`)
      .join('');
    const server = createServer(
      { ...service.certificateOf('server'), ca: service.pki.ca, requestCert: true },
      (_, response) => {
        if (!breaks) response.end(answer);
        else response.write(answer, () => setTimeout(() => response.destroy(), 100));
      },
    ).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `https://localhost:${String((server.address() as AddressInfo).port)}`;
    const { code, stdout, stderr } = await run(
      'passkeys-export',
      '--rp-id',
      RP_ID,
      ...optionsOf('operator', url),
      '--key',
      KEY,
      '--out',
      OUT,
    );
    server.close();
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(sentence);
    expect(readFileSync(OUT, 'utf8')).toBe(before);
    expect(readdirSync(DIRECTORY).filter((name) => name.endsWith('.partial'))).toEqual([]);
  });
});
