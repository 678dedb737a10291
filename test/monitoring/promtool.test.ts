import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { launchPasskeyManager } from '../../examples/auth-service/launch.ts';

const FOLDER = fileURLToPath(new URL('../../deploy/monitoring', import.meta.url));

/** Runs `promtool`, and returns what it prints about mistakes; nothing if there are none. */
function runPromtool(args: readonly string[], cwd: string, input = ''): string {
  const { status, stdout, stderr, error } = spawnSync('promtool', args, { cwd, input, encoding: 'utf8' });
  if (error) throw new Error('promtool cannot be run (Debian: apt-get install prometheus)', { cause: error });
  return status === 0 ? '' : stdout + stderr;
}

await test('promtool', async (suite) => {
  const directory = mkdtempSync(join(tmpdir(), 'passkey-manager-monitoring-'));
  suite.after(() => {
    rmSync(directory, { recursive: true });
  });

  await suite.test('accepts the configuration of Prometheus and its rules', () => {
    assert.equal(runPromtool(['check', 'config', 'prometheus.yml'], FOLDER), '');
    assert.equal(runPromtool(['check', 'rules', 'alerts.yml'], FOLDER), '');
  });

  await suite.test('sees each alert fire in its cases, and be silent in the others', () => {
    assert.equal(runPromtool(['test', 'rules', 'alerts.test.yml', 'alerts-of-days.test.yml'], FOLDER), '');
  });

  await suite.test('notices an alert that does not fire any more', () => {
    const broken = join(directory, 'broken');
    cpSync(FOLDER, broken, { recursive: true });
    const rules = join(broken, 'alerts.yml');
    writeFileSync(rules, readFileSync(rules, 'utf8').replace('+ 86400 < time()', '+ 864000 < time()'));
    assert.match(runPromtool(['test', 'rules', 'alerts-of-days.test.yml'], broken), /PasskeyMetadataStale/);
  });

  for (const workers of ['1', '2']) {
    await suite.test(`accepts the metrics of a service with PASSKEY_WORKERS=${workers}`, async (scrape) => {
      const service = await launchPasskeyManager({
        PATH: process.env['PATH'],
        PASSKEY_DATA_DIR: join(directory, 'data'),
        PASSKEY_HTTPS_PORT: '0',
        PASSKEY_MANAGEMENT_PORT: '0',
        PASSKEY_WORKERS: workers,
      });
      scrape.after(() => service.stop());
      const exposition = await (await fetch(`${service.managementUrl}/metrics`)).text();
      assert.match(exposition, /^passkey_build_info\{version="[\d.]+",node="[\d.]+"\} 1$/m);
      assert.match(exposition, /^passkey_health_indicator_up\{indicator="database"\} 1$/m);
      assert.equal(runPromtool(['check', 'metrics'], directory, exposition), '');
    });
  }

  await suite.test('notices a gauge whose name ends as that of a counter', () => {
    const gauge = '# HELP passkey_handles_total Handles\n# TYPE passkey_handles_total gauge\npasskey_handles_total 1\n';
    assert.match(runPromtool(['check', 'metrics'], directory, gauge), /passkey_handles_total/);
  });
});
