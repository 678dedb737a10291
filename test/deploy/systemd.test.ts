import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { READ_BY_MIGRATION, readDrainSeconds, readSettings } from './settings.ts';

const run = promisify(execFile);

/** The highest exposure that a unit may have, in tenths; 100 is that of a unit without a sandbox. */
const THRESHOLD = 20;
const SANDBOX =
  /^(?:User|Group|UMask|NoNewPrivileges|CapabilityBoundingSet|AmbientCapabilities|LimitCORE|KeyringMode|LockPersonality|Protect\w+|ProcSubset|Private\w+|DevicePolicy|RemoveIPC|Restrict\w+|SystemCall\w+)=/;

const DROP_INS = 'deploy/systemd/passkey-manager.service.d';

const pathOf = (unit: string): string => `deploy/systemd/${unit}.service`;
const readLines = (unit: string): string[] => readFileSync(pathOf(unit), 'utf8').split('\n');
const listVariables = (lines: readonly string[]): string[] =>
  lines.flatMap((line) => /^Environment=(\w+)=/.exec(line)?.[1] ?? []);

for (const unit of ['passkey-manager', 'passkey-manager-migrate']) {
  await describe(pathOf(unit), async () => {
    const lines = readLines(unit);

    await it(`exposes less than ${String(THRESHOLD / 10)} of 10, as systemd-analyze counts`, async () => {
      const options = ['security', '--offline=true', `--threshold=${String(THRESHOLD)}`, '--no-pager'];
      const { stdout } = await run('systemd-analyze', [...options, pathOf(unit)]);
      assert.match(stdout, /Overall exposure level for .*: [01]\.\d OK/);
    });

    await it('has no line that systemd does not understand', async () => {
      const { stderr } = await run('systemd-analyze', ['verify', '--recursive-errors=no', pathOf(unit)]).catch(
        (error: unknown) => error as { stderr: string },
      );
      // A machine that builds has no Node.js at the path of the machine that serves.
      const others = stderr.split('\n').filter((line) => line !== '' && !/Command \S+ is not executable/.test(line));
      assert.deepEqual(others, []);
    });

    await it('sets only what the program reads', () => {
      const known = unit === 'passkey-manager' ? readSettings() : new Set(READ_BY_MIGRATION);
      assert.deepEqual(
        listVariables(lines).filter((name) => !known.has(name)),
        [],
      );
    });
  });
}

await describe('deploy/systemd/passkey-manager.service.d', async () => {
  const files = readdirSync(DROP_INS);

  await it('turns on receipts, signals and pushes, each by a file', () => {
    assert.deepEqual(files.toSorted(), ['receipts.conf', 'signals-push.conf', 'signals.conf']);
  });

  for (const file of files) {
    const lines = readFileSync(`${DROP_INS}/${file}`, 'utf8').split('\n');
    // What an operator may turn on is held against the settings, too.
    const uncommented = lines.map((line) => line.replace(/^#(?=Environment=)/, ''));

    await it(`${file} sets only what the service reads, and nothing that the unit sets`, () => {
      const variables = listVariables(uncommented);
      const [known, ofUnit] = [readSettings(), listVariables(readLines('passkey-manager'))];
      assert.ok(variables.length > 0);
      assert.deepEqual(
        variables.filter((name) => !known.has(name) || ofUnit.includes(name)),
        [],
      );
    });

    await it(`${file} has no line that systemd does not understand`, async () => {
      const directory = mkdtempSync(join(tmpdir(), 'passkey-manager-systemd-'));
      try {
        const unit = join(directory, 'passkey-manager.service');
        copyFileSync(pathOf('passkey-manager'), unit);
        mkdirSync(`${unit}.d`);
        writeFileSync(join(`${unit}.d`, file), uncommented.join('\n'));
        const { stderr } = await run('systemd-analyze', ['verify', '--recursive-errors=no', unit]).catch(
          (error: unknown) => error as { stderr: string },
        );
        assert.deepEqual(
          stderr.split('\n').filter((line) => line.includes(file)),
          [],
        );
      } finally {
        rmSync(directory, { recursive: true });
      }
    });
  }
});

await describe('The units', async () => {
  await it('have the same sandbox, but that only the service opens a listener', () => {
    const sandboxes = ['passkey-manager', 'passkey-manager-migrate'].map((unit) =>
      readLines(unit).filter((line) => SANDBOX.test(line)),
    );
    assert.ok(sandboxes[0]!.length > 25);
    assert.deepEqual(
      sandboxes[0]!.map((line) => line.replace(' AF_NETLINK', '')),
      sandboxes[1],
    );
  });

  await it('set every file that production demands, none of them with a password in the environment', () => {
    const demanded = [
      'TLS_CERT_FILE',
      'TLS_KEY_FILE',
      'TLS_CA_FILE',
      'TLS_CRL_FILE',
      'ACCESS_POLICY_FILE',
      'AUDIT_KEY_FILE',
      'BINDING_KEY_FILE',
      'DATABASE_PASSWORD_FILE',
    ];
    const variables = listVariables(readLines('passkey-manager'));
    assert.deepEqual(
      demanded.filter((name) => !variables.includes(`PASSKEY_${name}`)),
      [],
    );
  });

  await it('signal the first process alone, and give a stop the time that the service takes', () => {
    const lines = readLines('passkey-manager');
    assert.ok(lines.includes('KillMode=mixed'));
    const [timeout = ''] = lines.flatMap((line) => /^TimeoutStopSec=(\d+)s$/.exec(line)?.[1] ?? []);
    assert.ok(Number(timeout) >= readDrainSeconds() + 5);
  });
});
