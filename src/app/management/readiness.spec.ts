import 'reflect-metadata';
import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { HealthIndicatorService } from '@nestjs/terminus';
import type { Issued } from '../../../test/support/authenticator/certificate-chain.js';
import { FakeListenerTrust } from '../../../test/support/fake-listener-trust.js';
import { FakePolicyStore } from '../../../test/support/fake-policy-store.js';
import { type ListProfile, makeRevocationList } from '../../../test/support/revocation-lists.js';
import { issueAuthority, issueServer } from '../../../test/support/trust-files.js';
import type { AccessPolicy } from '../../access/access-policy.js';
import type { LogState } from '../../audit-log/checkpoint-scheduler.js';
import type { RootsState } from '../../authenticators/attestation-roots.js';
import type { ListenerBounds } from '../../identity/listener-bounds.js';
import { parseRevocationLists } from '../../x509/revocation-list.js';
import type { DatabaseFindings, DatabaseProbe } from './database-probe.js';
import type { SigningKeysState } from '../../signing-keys/signing-key-file.js';
import type { ReconciliationState } from '../../reconciliation/reconciler.js';
import { type AuditLogReading, type BindingKeyReading, Readiness, type SignalPushReading } from './readiness.js';

const START = new Date(Math.floor(Date.now() / 1_000) * 1_000);
const hours = (count: number): Date => new Date(START.getTime() + count * 3_600_000);

/** Finds what a test says. */
class FakeDatabaseProbe implements Pick<DatabaseProbe, 'run'> {
  findings: DatabaseFindings = { database: undefined, migrations: undefined, audit: undefined, clockOffset: 0.01 };

  get service(): DatabaseProbe {
    return this as Pick<DatabaseProbe, 'run'> as DatabaseProbe;
  }

  run = (): Promise<DatabaseFindings> => Promise.resolve(this.findings);
}

/** Has as many connections as a test says. */
class FakeListenerBounds implements Pick<ListenerBounds, 'connections' | 'isFull'> {
  constructor(
    readonly connections: number,
    readonly isFull: boolean,
  ) {}

  get service(): ListenerBounds {
    return this as Pick<ListenerBounds, 'connections' | 'isFull'> as ListenerBounds;
  }
}

const POLICY: AccessPolicy = {
  trustDomain: 'bank.example',
  grants: new Map(),
  deny: [],
  approvals: null,
  digest: 'd16e57',
};

let now: Date;
let log: Pick<LogState, 'standsStillSince' | 'lagSeconds' | 'failures'> | undefined;
let bindingKey: ReturnType<BindingKeyReading>;
let spendableUntil: Date | undefined;
let root: Issued;
let other: Issued;
let own: Issued;
let trust: FakeListenerTrust;
let policies: FakePolicyStore;
let bounds: FakeListenerBounds;
const probe = new FakeDatabaseProbe();
beforeAll(async () => {
  root = await issueAuthority({ notAfter: hours(50) });
  other = await issueAuthority({ subject: 'CN=Other', notAfter: hours(20) });
  own = await issueServer(root, { notAfter: hours(30) });
});
beforeEach(async () => {
  now = START;
  log = { standsStillSince: undefined, lagSeconds: 0, failures: [] };
  bindingKey = { missingKey: undefined, sample: { rows: 0, failed: 0 } };
  probe.findings = { database: undefined, migrations: undefined, audit: undefined, clockOffset: 0.01 };
  policies = new FakePolicyStore(POLICY);
  bounds = new FakeListenerBounds(7, false);
  await trusting([root], [[root]]);
});

let reconciliation: ReconciliationState | undefined;
let roots: RootsState | undefined;
let receiptKeys: SigningKeysState | undefined;
let signalKeys: SigningKeysState | undefined;
let signalPush: ReturnType<SignalPushReading['push']>;
let seals: { areOldAccepted: boolean; newSince: Date | undefined };
const readiness = new Readiness(
  { now: () => now },
  () => ({ trust: trust.service, access: policies.service, bounds: bounds.service }),
  (() => log) as AuditLogReading,
  { metadata: () => undefined, attestationRoots: () => roots },
  () => bindingKey,
  () => seals,
  () => spendableUntil,
  () => reconciliation,
  { receipts: () => receiptKeys, signals: () => signalKeys },
  { push: () => signalPush, outbox: () => ({ waiting: 3, oldestSeconds: 70 }) },
  probe.service,
  new HealthIndicatorService(),
);

async function trusting(authorities: Issued[], lists: [Issued, ListProfile?][]): Promise<void> {
  const file = lists
    .map(([by, profile]) => makeRevocationList(by, { thisUpdate: START, nextUpdate: hours(10), ...profile }))
    .join('');
  const material = {
    certificate: own.certificate,
    authorities: authorities.map(({ certificate }) => certificate),
    revocationLists: await parseRevocationLists(file),
  };
  trust = new FakeListenerTrust(5, material);
}

describe('the readiness of the database', () => {
  it('is up when nothing is wrong with it, and shows the state of the transparency log', async () => {
    expect(await readiness.checkDatabase()).toEqual({
      database: { status: 'up' },
      migrations: { status: 'up' },
      audit: { status: 'up', standsStillSince: undefined, lagSeconds: 0, failures: [] },
      clock: { status: 'up', offsetSeconds: 0.01, message: undefined },
    });
  });

  it.each([
    [2, undefined],
    [2.001, 'the clocks of service and database are apart'],
    [-2.001, 'the clocks of service and database are apart'],
  ])('stays up when the clocks are %d s apart, and says: %s', async (clockOffset, message) => {
    probe.findings = { ...probe.findings, clockOffset };
    expect(await readiness.checkDatabase()).toMatchObject({
      clock: { status: 'up', offsetSeconds: clockOffset, message },
    });
  });

  it('is down with each fault, listed separately', async () => {
    probe.findings = {
      ...probe.findings,
      migrations: 'migrations are pending',
      audit: 'no record can be written',
    };
    expect(await readiness.checkDatabase()).toMatchObject({
      database: { status: 'up' },
      migrations: { status: 'down', message: 'migrations are pending' },
      audit: { status: 'down', message: 'no record can be written' },
    });
  });

  it('is down when the transparency log stands still, though it accepts records', async () => {
    log = { standsStillSince: '2026-06-30T12:00:00.000Z', lagSeconds: 31, failures: [] };
    expect(await readiness.checkDatabase()).toMatchObject({
      audit: { status: 'down', message: 'the audit log stands still', lagSeconds: 31 },
    });
  });

  it.each(['log-truncated', 'log-altered'] as const)(
    'is down at once when the log is not continued: %s',
    async (failure) => {
      log = { standsStillSince: undefined, lagSeconds: 0, failures: [failure] };
      expect(await readiness.checkDatabase()).toMatchObject({
        audit: { status: 'down', message: 'the audit log is not continued', failures: [failure] },
      });
    },
  );

  it('is up while the log has a failure that the next turn may end', async () => {
    log = { standsStillSince: undefined, lagSeconds: 3, failures: ['sequencer-failed', 'anchor'] };
    expect(await readiness.checkDatabase()).toMatchObject({ audit: { status: 'up' } });
  });

  it('says nothing about the log when another process runs it', async () => {
    log = undefined;
    expect(await readiness.checkDatabase()).toMatchObject({ audit: { status: 'up' } });
  });
});

describe('the readiness check binding_key', () => {
  it('is up, and mentions rows that fail, however many they are', () => {
    expect(readiness.checkBindingKey()).toEqual({ binding_key: { status: 'up' } });
    bindingKey = { missingKey: undefined, sample: { rows: 3, failed: 3 } };
    expect(readiness.checkBindingKey()).toEqual({ binding_key: { status: 'up', rows: 3, failed: 3 } });
  });

  it('is down while a key that has sealed rows is missing', () => {
    bindingKey = { missingKey: '3fa29b1c', sample: undefined };
    expect(readiness.checkBindingKey()).toMatchObject({ binding_key: { status: 'down', missingKey: '3fa29b1c' } });
  });
});

describe('the readiness check certificate', () => {
  it('says until when the service’s certificate is valid, and which epoch of the trust store is current', () => {
    expect(readiness.checkCertificate()).toEqual({
      certificate: { status: 'up', until: hours(30).toISOString(), epoch: 5 },
    });
  });

  it('says why the files on disk are refused, and the service stays ready', () => {
    trust.refused = 'PASSKEY_TLS_KEY_FILE: is the key of another certificate';
    expect(readiness.checkCertificate()).toMatchObject({
      certificate: { status: 'up', refused: trust.refused },
    });
  });

  it.each([
    [29.99, 'up'],
    [30, 'down'],
  ])('after %p hours of the certificate’s 30 is %s', (hour, status) => {
    now = hours(hour);
    expect(readiness.checkCertificate()).toMatchObject({ certificate: { status } });
  });

  it('is down before it begins, because the clock went back', () => {
    now = new Date(own.certificate.validFromDate.getTime() - 1_000);
    const from = own.certificate.validFromDate.toISOString();
    expect(readiness.checkCertificate()).toMatchObject({
      certificate: { status: 'down', from, message: expect.stringContaining('the clock went back') },
    });
    now = own.certificate.validFromDate;
    expect(readiness.checkCertificate()).toMatchObject({ certificate: { status: 'up' } });
  });

  it('is down before the only authority begins, but not before the second of two', async () => {
    const young = await issueAuthority({ subject: 'CN=Young', notBefore: hours(2), notAfter: hours(40) });
    await trusting([young], [[young]]);
    now = hours(1);
    expect(readiness.checkCertificate()).toMatchObject({
      certificate: { status: 'down', from: hours(2).toISOString() },
    });
    await trusting([young, root], [[young], [root]]);
    expect(readiness.checkCertificate()).toMatchObject({ certificate: { status: 'up' } });
  });

  it('ends with the only authority', async () => {
    await trusting([other], [[other]]);
    expect(readiness.checkCertificate()).toMatchObject({ certificate: { until: hours(20).toISOString() } });
  });

  it('does not end with the first of two authorities, as in a rotation', async () => {
    await trusting([other, root], [[other], [root]]);
    now = hours(25);
    expect(readiness.checkCertificate()).toMatchObject({
      certificate: { status: 'up', until: hours(30).toISOString() },
    });
  });
});

describe('the readiness check crl', () => {
  it('says until when the first list to end is valid', async () => {
    await trusting([root, other], [[root], [other, { nextUpdate: hours(8) }]]);
    expect(readiness.checkCrl()).toEqual({ crl: { status: 'up', until: hours(8).toISOString(), ageing: false } });
  });

  it.each([
    [5, { status: 'up', ageing: false }],
    [5.01, { status: 'up', ageing: true }],
    [9.99, { status: 'up', ageing: true }],
    [10, { status: 'down', ageing: true, message: 'it has ended' }],
  ])('after %p hours of ten is %p', (hour, detail) => {
    now = hours(hour);
    expect(readiness.checkCrl()).toEqual({ crl: { until: hours(10).toISOString(), ...detail } });
  });

  it('is down before a list begins, because the clock went back and OpenSSL refuses every caller', async () => {
    await trusting([root, other], [[root], [other, { thisUpdate: hours(-1) }]]);
    now = hours(-0.5);
    expect(readiness.checkCrl()).toMatchObject({ crl: { status: 'down', from: START.toISOString() } });
    now = START;
    expect(readiness.checkCrl()).toMatchObject({ crl: { status: 'up' } });
  });

  it('counts the list of an intermediate authority', async () => {
    const between = await issueAuthority({ subject: 'CN=Between' }, root);
    await trusting([root], [[root], [between, { nextUpdate: hours(1) }]]);
    now = hours(2);
    expect(readiness.checkCrl()).toMatchObject({ crl: { status: 'down' } });
  });

  it('does not count the list of an authority that has ended', async () => {
    await trusting([root, other], [[root, { nextUpdate: hours(40) }], [other]]);
    now = hours(15);
    expect(readiness.checkCrl()).toMatchObject({ crl: { status: 'down' } });
    now = hours(21);
    expect(readiness.checkCrl()).toMatchObject({ crl: { status: 'up', until: hours(40).toISOString(), ageing: true } });
  });

  it('says how long certificates may live where authorities need no list, and counts the lists that are there', async () => {
    await trusting([root], []);
    trust.material = { ...trust.material, shortLivedHours: 24 };
    expect(readiness.checkCrl()).toEqual({ crl: { status: 'up', shortLivedHours: 24 } });
    await trusting([root], [[root, { nextUpdate: hours(8) }]]);
    trust.material = { ...trust.material, shortLivedHours: 24 };
    const until = hours(8).toISOString();
    expect(readiness.checkCrl()).toEqual({ crl: { status: 'up', until, ageing: false, shortLivedHours: 24 } });
    now = hours(9);
    expect(readiness.checkCrl()).toMatchObject({ crl: { status: 'down' } });
  });

  it('is down when no list says when it ends', async () => {
    await trusting([root], [[root, { nextUpdate: null }]]);
    expect(readiness.checkCrl()).toEqual({ crl: { status: 'down', message: 'it does not say when it ends' } });
    await trusting([root], []);
    expect(readiness.checkCrl()).toEqual({ crl: { status: 'down', message: 'it does not say when it ends' } });
  });
});

describe('the readiness check access_policy', () => {
  it('names the current policy, and says why the file on disk is refused', () => {
    expect(readiness.checkAccessPolicy()).toEqual({ access_policy: { status: 'up', digest: 'd16e57' } });
    policies.refused = 'a mistake';
    expect(readiness.checkAccessPolicy()).toEqual({
      access_policy: { status: 'up', digest: 'd16e57', refused: 'a mistake' },
    });
  });
});

describe('the readiness check spent_challenges', () => {
  it('says until when challenges can be spent, and is down from then on', () => {
    spendableUntil = hours(90);
    const until = spendableUntil.toISOString();
    now = hours(89.99);
    expect(readiness.checkSpentChallenges()).toEqual({ spent_challenges: { status: 'up', until } });
    now = hours(90);
    expect(readiness.checkSpentChallenges()).toMatchObject({ spent_challenges: { status: 'down', until } });
  });

  it('is down before anyone has looked', () => {
    spendableUntil = undefined;
    expect(readiness.checkSpentChallenges()).toMatchObject({ spent_challenges: { status: 'down' } });
  });
});

describe('the readiness check listener', () => {
  it('is down when no caller can connect', () => {
    expect(readiness.checkListener()).toEqual({ listener: { status: 'up', connections: 7 } });
    bounds = new FakeListenerBounds(3_500, true);
    expect(readiness.checkListener()).toMatchObject({ listener: { status: 'down', connections: 3_500 } });
  });
});

describe('the readiness check metadata', () => {
  it('is absent from a service that has none', () => {
    expect(readiness.checkMetadata()).toMatchObject({ metadata: { status: 'up' } });
  });
});

describe('the readiness check seals', () => {
  it('is up while seals of the version before still count, and says so', () => {
    seals = { areOldAccepted: true, newSince: START };
    const newSince = START.toISOString();
    expect(readiness.checkSeals()).toEqual({ seals: { status: 'up', oldAccepted: true, newSince } });
    seals = { areOldAccepted: true, newSince: undefined };
    expect(readiness.checkSeals()).toEqual({ seals: { status: 'up', oldAccepted: true } });
    seals = { areOldAccepted: false, newSince: START };
    expect(readiness.checkSeals()).toEqual({ seals: { status: 'up', oldAccepted: false } });
  });
});

describe('the readiness check attestation_roots', () => {
  it('names the current file, says why the one on disk is refused, and is never down', () => {
    expect(readiness.checkAttestationRoots()).toMatchObject({ attestation_roots: { status: 'up' } });
    roots = { digest: 'd16e57', refused: 'has no certificate in PEM' };
    expect(readiness.checkAttestationRoots()).toEqual({ attestation_roots: { status: 'up', ...roots } });
  });
});

describe('the readiness checks receipt_keys and signal_keys', () => {
  it('name the keys, say why a file is refused, and are never down', () => {
    const unset = { status: 'up', message: 'not configured' };
    expect(readiness.checkSigningKeys()).toEqual({ receipt_keys: unset, signal_keys: unset });
    receiptKeys = { signs: 'kid-1', published: ['kid-2'], refused: 'has a key twice' };
    signalKeys = { signs: 'kid-3', published: [], refused: undefined };
    expect(readiness.checkSigningKeys()).toEqual({
      receipt_keys: { status: 'up', ...receiptKeys },
      signal_keys: { status: 'up', ...signalKeys },
    });
  });
});

describe('the readiness check signal_push', () => {
  const signals = { status: 'up', waiting: 3, oldestSeconds: 70 };

  it('counts the signals that wait and the streams whose push fails, says why the files are refused, and is never down', () => {
    expect(readiness.checkSignalPush()).toEqual({ signals, signal_push: { status: 'up', message: 'not configured' } });
    signalPush = { receivers: 2, refused: 'cannot be used', failing: 1 };
    expect(readiness.checkSignalPush()).toEqual({ signals, signal_push: { status: 'up', ...signalPush } });
  });
});

describe('the readiness check reconciliation', () => {
  it('is up with findings, which it counts', () => {
    reconciliation = { completedAt: START.toISOString(), findings: { 'row-outdated': 2 }, failure: undefined };
    expect(readiness.checkReconciliation()).toEqual({ reconciliation: { status: 'up', ...reconciliation } });
  });

  it('says nothing when another process walks', () => {
    reconciliation = undefined;
    expect(readiness.checkReconciliation()).toEqual({ reconciliation: { status: 'up' } });
  });
});
