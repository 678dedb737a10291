import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { parse } from 'yaml';

const run = promisify(execFile);

interface Scraping {
  readonly scrape_configs: readonly { readonly job_name: string; readonly static_configs: readonly object[] }[];
}

await describe('Prometheus in docker-compose.yml', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'passkey-manager-compose-'));
  after(() => rm(directory, { recursive: true }));

  await it('has a configuration and rules that promtool accepts', async () => {
    await copyFile('deploy/compose/prometheus.yml', join(directory, 'prometheus.yml'));
    await copyFile('deploy/monitoring/alerts.yml', join(directory, 'alerts.yml'));
    const { stdout } = await run('promtool', ['check', 'config', join(directory, 'prometheus.yml')]);
    assert.match(stdout, /SUCCESS: \d+ rules found/);
  });

  await it('scrapes the job of deploy/monitoring, at the name of the service', async () => {
    const read = async (path: string): Promise<Scraping> => parse(await readFile(path, 'utf8')) as Scraping;
    const [own, usual] = await Promise.all(
      ['deploy/compose/prometheus.yml', 'deploy/monitoring/prometheus.yml'].map(read),
    );
    assert.equal(own?.scrape_configs[0]?.job_name, usual?.scrape_configs[0]?.job_name);
    assert.deepEqual(own?.scrape_configs[0]?.static_configs, [{ targets: ['passkey-manager:8081'] }]);
  });
});
