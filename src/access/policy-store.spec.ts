import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { FakeAudit } from '../../test/support/fake-audit.js';
import { until } from '../../test/support/until.js';
import type { WatchedFiles } from '../config/watched-files.js';
import { Metrics } from '../telemetry/metrics.js';
import { type AccessPolicy, AccessPolicyError } from './access-policy.js';
import { PolicyStore, openPolicyFile } from './policy-store.js';

Logger.overrideLogger(false);

const ID = 'spiffe://bank.example';
const ENTRY = `  - id: ${ID}/auth-service\n    permissions: [passkeys:read, passkeys:manage]\n`;
const policy = (services = ENTRY, rest = '', trustDomain = 'bank.example'): string =>
  `version: 1\ntrustDomain: ${trustDomain}\nservices:\n${services}${rest}`;

let directory: string;
let path: string;
let audit: FakeAudit;
let metrics: Metrics;
let files: WatchedFiles<AccessPolicy>;
let store: PolicyStore;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'passkey-manager-policy-'));
  path = join(directory, 'policy.yaml');
  audit = new FakeAudit();
  metrics = new Metrics();
});
afterEach(async () => {
  await store.onModuleDestroy();
  await rm(directory, { recursive: true });
});

async function start(text = policy()): Promise<void> {
  await writeFile(path, text);
  files = await openPolicyFile(path);
  store = new PolicyStore(files, audit.service, metrics, {});
  store.onApplicationBootstrap();
}

/** Waits until the service has reported the outcome of the reload. */
async function replace(text: string): Promise<Record<string, unknown>> {
  const before = audit.entries.length;
  await writeFile(path, text);
  return until(() => audit.entries[before] as unknown as Record<string, unknown> | undefined);
}

const reloads = async (outcome: string): Promise<number> =>
  (await metrics.reloads.get()).values.find(
    (value) => value.labels.resource === 'access-policy' && value.labels.outcome === outcome,
  )?.value ?? 0;

describe('the access policy', () => {
  it('is what the file says', async () => {
    await start();
    expect([...store.policy.grants.keys()]).toEqual([`${ID}/auth-service`]);
    expect([store.refused, audit.entries]).toEqual([undefined, []]);
  });

  it('changes while the service runs, and the record says which callers were added, removed, changed and denied', async () => {
    const gone = `  - { id: ${ID}/gone, permissions: [audit:read] }\n`;
    const kept = `  - { id: ${ID}/kept, permissions: [audit:read, audit:export], notAfter: 2027-01-01T00:00:00Z }\n`;
    await start(policy(ENTRY + gone + kept, 'deny: [{ serial: "01" }, { serial: "02" }]\n'));
    const former = store.policy;
    const changed = `  - { id: ${ID}/auth-service, permissions: [passkeys:read] }\n  - { id: ${ID}/new, permissions: [audit:read] }\n`;
    const same = kept.replace('audit:read, audit:export', 'audit:export, audit:read');
    const denied = `deny:\n  - { serial: "02" }\n  - { id: ${ID}/auth-service }\n`;
    expect(await replace(policy(changed + same, denied))).toEqual({
      type: 'policy.reload',
      outcome: 'success',
      facts: {
        digest: store.policy.digest,
        previous_digest: former.digest,
        added: [`${ID}/new`],
        removed: [`${ID}/gone`],
        changed: [`${ID}/auth-service`],
        denials_added: [`id: ${ID}/auth-service`],
        denials_removed: ['serial: 01'],
        approvals_added: [],
        approvals_removed: [],
      },
    });
    expect(store.policy.digest).not.toBe(former.digest);
    expect([await reloads('success'), await reloads('failure')]).toEqual([1, 0]);
  });

  it.each([
    ['relying parties', 'relyingParties: [login.bank.example]'],
    ['an audience of receipts', 'receiptAudiences: [https://shop.example]'],
    ['a rate', 'requestsPerSecond: 5'],
    ['an end', 'notAfter: 2027-06-30T00:00:00Z'],
  ])('has changed a service when it grants it %s', async (_, line) => {
    await start();
    const { facts } = await replace(policy(`${ENTRY}    ${line}\n`));
    expect(facts).toMatchObject({ changed: [`${ID}/auth-service`], added: [], removed: [] });
  });

  it('has changed no caller when only a remark differs', async () => {
    await start();
    const { facts } = await replace(`# a remark\n${policy()}`);
    expect(facts).toMatchObject({ changed: [], added: [], removed: [], denials_added: [], denials_removed: [] });
  });

  it('is not reloaded when it is written again with the same content', async () => {
    await start();
    const former = store.policy;
    await writeFile(path, policy());
    await sleep(1_200);
    expect(store.policy).toBe(former);
    expect(audit.entries).toEqual([]);
  });

  it.each([
    [
      'a mistake',
      () => policy(ENTRY.replace('passkeys:read', 'passkeys:everything')),
      '"passkeys:everything" is not a permission',
    ],
    [
      'another trust domain',
      () => policy(ENTRY, '', 'evil.example').replaceAll('bank.example', 'evil.example'),
      'trustDomain cannot change while the service runs: restart it',
    ],
    ['too much', () => policy() + '#'.repeat(262_144), 'the file is larger than 262144 bytes'],
  ])('with %s changes nothing, and the refusal is reported', async (_, text, told) => {
    await start();
    const former = store.policy;
    expect(await replace(text())).toMatchObject({
      type: 'policy.reload',
      outcome: 'failure',
      reason: 'unusable',
      detail: expect.stringContaining(told),
      facts: { digest: former.digest },
    });
    expect(store.policy).toBe(former);
    expect(store.refused).toContain(told);
    expect([await reloads('success'), await reloads('failure')]).toEqual([0, 1]);
  });

  it('is refused in no more than 500 characters', async () => {
    await start();
    const { detail } = await replace(policy(`  - { ${'x'.repeat(600)}: 1 }\n`));
    expect(detail).toHaveLength(500);
  });

  it.each([0, 1])('is refused without half of a character at the cut (%i)', async (shift) => {
    await start();
    const { detail } = await replace(policy(`  - { ${'x'.repeat(shift)}${'😀'.repeat(600)}: 1 }\n`));
    expect((detail as string).isWellFormed()).toBe(true);
  });

  it('no longer changes when the service stops', async () => {
    await start();
    await store.onModuleDestroy();
    await writeFile(path, policy('', ''));
    await sleep(1_200);
    expect(audit.entries).toEqual([]);
  });
});

describe('the first policy', () => {
  beforeEach(() => start());

  it.each([
    ['has a mistake', 'version: 2', 'version must be 1'],
    ['is not YAML', '-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMG: [\n', 'at line'],
  ])('that %s stops the boot, without quoting the text around the mistake', async (_, text, told) => {
    await writeFile(path, text);
    const error: unknown = await openPolicyFile(path).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(AccessPolicyError);
    expect(String(error)).toContain(told);
    expect(String(error)).not.toContain('MIGHAgEAMBMG');
  });

  it('that is missing stops the boot', async () => {
    await rm(path);
    await expect(openPolicyFile(path)).rejects.toThrow(new AccessPolicyError(['the file ENOENT']));
  });
});
