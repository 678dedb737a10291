import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Authenticator } from './support/authenticator/authenticator.js';
import { CommandLine } from './support/command-line.js';
import { TestService } from './support/service.js';

const PROGRAM = 'dist/commands/passkey-manager/passkey-manager.js';

let service: TestService;
let line: CommandLine;
beforeAll(async () => {
  service = await TestService.start();
  line = new CommandLine(service);
  const login = await service.relyingParty('login.example.com');
  await login.registered('ada', new Authenticator());
});
afterAll(() => service.stop());

function start(identity: string, args: readonly string[]) {
  const env = { PATH: process.env['PATH'], ...line.login(identity) };
  return spawn(process.execPath, [PROGRAM, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
}

async function run(identity: string, ...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const program = start(identity, args);
  const [[code], out, err] = await Promise.all([
    once(program, 'exit') as Promise<[number | null]>,
    text(program.stdout),
    text(program.stderr),
  ]);
  return { code, out, err };
}

describe('the program passkey-manager', () => {
  it('does what an operator asks for, and prints nothing else', async () => {
    const { code, out, err } = await run('operator', 'users', 'show', 'ada', '--rp', 'login.example.com', '-o', 'json');
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(JSON.parse(out)).toMatchObject({ userId: 'ada', credentials: [{ status: 'active' }] });
  });

  it.each([
    [2, ['users', 'show']],
    [4, ['audit', 'list']],
    [5, ['whoami', '--url', 'https://localhost:1']],
  ])('ends with %i', async (code, args) => {
    expect(await run('operator', ...args)).toMatchObject({ code, out: '', err: expect.stringMatching(/./) });
  });

  it('follows the log until Ctrl-C, and ends with 0', async () => {
    const program = start('auditor', ['audit', 'tail', '--last', '5', '--type', 'credential']);
    const [shown] = (await once(program.stdout, 'data')) as [Buffer];
    expect(shown.toString()).toMatch(/ success +credential\.register +auth-service +login\.example\.com /);
    program.kill('SIGINT');
    expect(await once(program, 'exit')).toEqual([0, null]);
  });

  it('ends by the signal when Ctrl-C comes before an answer', async () => {
    // Nobody ever answers there.
    const { createServer } = await import('node:net');
    const silent = createServer().listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as { port: number };
    const program = start('operator', ['whoami', '--url', `https://127.0.0.1:${String(port)}`]);
    await once(silent, 'connection');
    program.kill('SIGINT');
    expect(await once(program, 'exit')).toEqual([null, 'SIGINT']);
    silent.close();
  });

  it('ends without an error when its reader goes away', async () => {
    const program = start('auditor', ['audit', 'tail', '--no-follow', '--last', '100000', '-o', 'json']);
    program.stdout.destroy();
    const [[code], err] = await Promise.all([once(program, 'exit'), text(program.stderr)]);
    expect({ code, err }).toEqual({ code: 0, err: '' });
  });

  it('shows the keys of the service, with when they end, and which key seals', async () => {
    const env = {
      PATH: process.env['PATH'],
      PASSKEY_DATA_DIR: service.dataDir,
      DATABASE_URL: service.database.ownerUrl,
    };
    const program = spawn(process.execPath, [PROGRAM, 'keys', 'status'], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const [[code], out, err] = await Promise.all([once(program, 'exit'), text(program.stdout), text(program.stderr)]);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatch(/^signs the audit log +Ed25519/m);
    expect(out).toMatch(/^\d+ +\d{4}-\d\d-\d\d +server /m);
    expect(out).toMatch(/^[0-9a-f]{8} +seals +1 /m);
  });
});
