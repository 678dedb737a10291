import { readFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';
import { Injectable } from '@nestjs/common';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { registerLostLinesMetric } from './log-output.js';

const VERSION = readVersion();

/**
 * The Prometheus metrics. All labels have a bounded number of values: routes, statuses and the contract's closed lists.
 * With several workers, `aggregator` says how their values are combined; the default is the sum.
 */
@Injectable()
export class Metrics {
  readonly registry = new Registry();

  readonly requests = new Histogram({
    name: 'passkey_http_request_duration_seconds',
    help: 'Duration of requests by method, route and status code',
    labelNames: ['method', 'route', 'status_code'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers: [this.registry],
  });

  readonly requestsInFlight = new Gauge({
    name: 'passkey_http_requests_in_flight',
    help: 'Requests whose handler runs, including those whose caller has gone',
    registers: [this.registry],
  });

  readonly requestsWaiting = new Gauge({
    name: 'passkey_http_requests_waiting',
    help: 'Requests that wait for their turn',
    registers: [this.registry],
  });

  readonly requestsShed = new Counter({
    name: 'passkey_http_requests_shed_total',
    help: 'Requests that were refused because their caller had too many open requests or they waited too long',
    registers: [this.registry],
  });

  readonly tlsConnections = new Gauge({
    name: 'passkey_tls_connections',
    help: 'Connections of callers (established) and connections in their TLS handshake (handshake)',
    labelNames: ['state'],
    registers: [this.registry],
  });

  readonly tlsConnectionsRefused = new Counter({
    name: 'passkey_tls_connections_refused_total',
    help: 'Connections that were closed because too many were open (listener-full) or in their handshake',
    labelNames: ['reason'],
    registers: [this.registry],
  });

  readonly events = new Counter({
    name: 'passkey_audit_events_total',
    help: 'Audit events by type, outcome and reason',
    labelNames: ['type', 'outcome', 'reason'],
    registers: [this.registry],
  });

  readonly challengesIssued = new Counter({
    name: 'passkey_challenges_issued_total',
    help: 'Issued challenges by ceremony',
    labelNames: ['ceremony'],
    registers: [this.registry],
  });

  readonly handshakesRefused = new Counter({
    name: 'passkey_tls_handshakes_refused_total',
    help: 'TLS handshakes that failed',
    registers: [this.registry],
  });

  readonly certificateExpiry = new Gauge({
    name: 'passkey_certificate_expiry_timestamp_seconds',
    help: 'Unix time at which the server certificate, the first CA and the first CRL expire',
    labelNames: ['file'],
    aggregator: 'min',
    registers: [this.registry],
  });

  readonly reloads = new Counter({
    name: 'passkey_reloads_total',
    help: 'Reloads of the trust store, the access policy, the attestation roots and the FIDO metadata, by outcome; a failure leaves the previous one in use',
    labelNames: ['resource', 'outcome'],
    registers: [this.registry],
  });

  readonly attestations = new Counter({
    name: 'passkey_attestations_total',
    help: 'Valid attestations by format, trust, root if trusted and reason if untrusted',
    labelNames: ['format', 'trust', 'root', 'reason'],
    registers: [this.registry],
  });

  readonly trustStoreEpoch = new Gauge({
    name: 'passkey_trust_store_epoch',
    help: 'Epoch of the trust store: 1 at the start, and one more with each reload',
    aggregator: 'max',
    registers: [this.registry],
  });

  readonly decisions = new Counter({
    name: 'passkey_access_decisions_total',
    help: 'Decisions of the access policy by permission and outcome',
    labelNames: ['permission', 'outcome'],
    registers: [this.registry],
  });

  readonly riskSignals = new Counter({
    name: 'passkey_risk_signals_total',
    help: 'Signs of misuse of a caller or a passkey, by signal',
    labelNames: ['signal'],
    registers: [this.registry],
  });

  readonly oldestPendingEventAge = new Gauge({
    name: 'passkey_audit_oldest_pending_event_age_seconds',
    help: 'Age of the oldest pending audit event',
    aggregator: 'max',
    registers: [this.registry],
  });

  readonly sequencedEvents = new Gauge({
    name: 'passkey_audit_log_sequenced_events',
    help: 'Sequenced audit events',
    aggregator: 'max',
    registers: [this.registry],
  });

  readonly latestCheckpoint = new Gauge({
    name: 'passkey_audit_checkpoint_timestamp_seconds',
    help: 'Unix time at which the latest checkpoint of the audit log was signed',
    aggregator: 'max',
    registers: [this.registry],
  });

  /** Absent if no anchor is configured; 0 if the anchor has received no checkpoint since the start. */
  readonly anchoredCheckpoint = new Gauge({
    name: 'passkey_audit_anchored_checkpoint_timestamp_seconds',
    help: 'Unix time at which the latest checkpoint that the anchor has was signed',
    labelNames: ['anchor'],
    aggregator: 'max',
    registers: [this.registry],
  });

  readonly failedTurns = new Counter({
    name: 'passkey_audit_failed_turns_total',
    help: 'Turns of the audit log that failed, by failure',
    labelNames: ['failure'],
    registers: [this.registry],
  });

  readonly auditFailing = new Gauge({
    name: 'passkey_audit_failing',
    help: '1 while the audit log fails in this way, 0 after it did',
    labelNames: ['failure'],
    aggregator: 'max',
    registers: [this.registry],
  });

  readonly reconciledRows = new Counter({
    name: 'passkey_reconciliation_rows_total',
    help: 'Rows and events that the walk has held against each other, by table or type of event',
    labelNames: ['phase'],
    registers: [this.registry],
  });

  readonly resealedRows = new Counter({
    name: 'passkey_resealed_rows_total',
    help: 'Rows with an old seal that the walk has come to, by table',
    labelNames: ['table'],
    registers: [this.registry],
  });

  readonly oldSealsAccepted = new Gauge({
    name: 'passkey_old_seals_accepted',
    help: '1 while rows with a seal of the version before still count, 0 when they do not',
    aggregator: 'max',
    registers: [this.registry],
  });

  readonly reconciliationFindings = new Gauge({
    name: 'passkey_reconciliation_findings',
    help: 'Rows that contradict the audit log in this way, by the last whole walk or the present one',
    labelNames: ['finding'],
    aggregator: 'max',
    registers: [this.registry],
  });

  readonly reconciliationCompleted = new Gauge({
    name: 'passkey_reconciliation_completed_timestamp_seconds',
    help: 'Unix time at which the last whole walk through all rows ended; before the first has ended, when it should have begun',
    aggregator: 'max',
    registers: [this.registry],
  });

  readonly spentChallengePeriodsEnd = new Gauge({
    name: 'passkey_spent_challenge_periods_end_timestamp_seconds',
    help: 'Unix time up to which the table of spent challenges has partitions, so that challenges can be spent',
    aggregator: 'min',
    registers: [this.registry],
  });

  /** Absent if no FIDO metadata is configured. */
  readonly metadataNextUpdate = new Gauge({
    name: 'passkey_metadata_next_update_timestamp_seconds',
    help: 'Unix time at which the next FIDO metadata is due',
    aggregator: 'min',
    registers: [this.registry],
  });

  /** Absent if no FIDO metadata is configured. */
  readonly metadataInfo = new Gauge({
    name: 'passkey_metadata_info',
    help: 'Always 1, with the serial number of the FIDO metadata in use',
    labelNames: ['serial'],
    aggregator: 'max',
    registers: [this.registry],
  });

  readonly buildInfo = new Gauge({
    name: 'passkey_build_info',
    help: 'Always 1, with the version of the service',
    labelNames: ['version'],
    aggregator: 'max',
    registers: [this.registry],
  });

  constructor() {
    this.buildInfo.set({ version: VERSION }, 1);
    registerProcessMetrics(this.registry);
  }
}

/** prom-client's gauges that end in `_total`, a name for counters. `nodejs_active_handles` and the like stay. */
const MISNAMED_GAUGES = ['handles', 'requests', 'resources'].map((what) => `nodejs_active_${what}_total`);

/** Adds the metrics of the process and of Node.js, and the metric of lost log lines. */
export function registerProcessMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry });
  for (const name of MISNAMED_GAUGES) registry.removeSingleMetric(name);
  registerLostLinesMetric(registry);
}

function readVersion(): string {
  const file = findPackageJSON(import.meta.url);
  if (file === undefined) throw new Error('package.json is not above the program');
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
