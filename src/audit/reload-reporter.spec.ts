import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { Logger as NestLogger } from '@nestjs/common';
import { pino } from 'pino';
import { FakeAudit } from '../../test/support/fake-audit.js';
import { Metrics } from '../telemetry/metrics.js';
import { PinoLogger } from '../telemetry/pino-logger.js';
import { ReloadReporter } from './reload-reporter.js';

let lines: Record<string, unknown>[];
let audit: FakeAudit;
let metrics: Metrics;
beforeEach(() => {
  lines = [];
  const write = (line: string): void => void lines.push(JSON.parse(line) as Record<string, unknown>);
  NestLogger.overrideLogger(new PinoLogger(pino({ level: 'info', base: null, timestamp: false }, { write })));
  [audit, metrics] = [new FakeAudit(), new Metrics()];
});
afterEach(() => {
  NestLogger.overrideLogger(false);
});

const RESOURCES = [
  ['trust.reload', 'trust-store', 'trust store'],
  ['policy.reload', 'access-policy', 'access policy'],
  ['metadata.reload', 'metadata', 'FIDO metadata'],
  ['attestation-roots.reload', 'attestation-roots', 'attestation roots'],
  ['receipt-keys.reload', 'receipt-keys', 'receipt keys'],
  ['signal-keys.reload', 'signal-keys', 'keys of signals'],
  ['signal-push.reload', 'signal-push', 'receivers of pushes'],
] as const;

it.each(RESOURCES)('%s writes one line that production shows, with the files and what changed', async (...names) => {
  const [type, resource, name] = names;
  const facts = { digest: 'd16e57', certificate: { fingerprint: 'ab12', not_after: '2027-01-01T00:00:00.000Z' } };
  new ReloadReporter(type, audit, metrics, { worker: undefined }).reportSuccess(['/run/server.crt'], facts);
  expect(lines).toEqual([
    { level: 30, component: 'ReloadReporter', msg: `${name} reloaded`, files: ['/run/server.crt'], facts },
  ]);
  expect(audit.entries).toMatchObject([{ type, outcome: 'success', facts }]);
  expect((await metrics.reloads.get()).values).toEqual([{ labels: { resource, outcome: 'success' }, value: 1 }]);
});

it.each(RESOURCES)('%s that is refused writes one line of an error, with the reason', async (type, resource, name) => {
  new ReloadReporter(type, audit, metrics, { worker: undefined }).reportFailure('the key does not fit');
  expect(lines).toMatchObject([
    { level: 50, msg: `${name} reload refused; what it replaces stays`, reason: 'the key does not fit' },
  ]);
  expect(audit.entries).toMatchObject([{ type, outcome: 'failure', detail: 'the key does not fit' }]);
  expect((await metrics.reloads.get()).values).toEqual([{ labels: { resource, outcome: 'failure' }, value: 1 }]);
});
