import { Injectable } from '@nestjs/common';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { MigrationMetrics } from './migration-metrics.js';
import type { PoolReading } from './pool-reading.js';
import { registerProcessMetrics } from './process-metrics.js';
import { createPushMetrics } from './push-metrics.js';
import { createReceiptCounter } from './receipt-counter.js';
import { createSignalMetrics } from './signal-metrics.js';
import { createStatisticsMetrics } from './statistics-metrics.js';
import { VERSION } from './version.js';

/** From a fast answer to one that has waited for the limits of the database. Seconds. */
const DURATIONS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

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
    buckets: DURATIONS,
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

  readonly tlsConnectionsLimit = new Gauge({
    name: 'passkey_tls_connections_limit',
    help: 'Connections of each state that the listener accepts',
    labelNames: ['state'],
    registers: [this.registry],
  });

  readonly tlsConnectionsRefused = new Counter({
    name: 'passkey_tls_connections_refused_total',
    help: 'Connections that were closed because too many were open (listener-full) or in their handshake',
    labelNames: ['reason'],
    registers: [this.registry],
  });

  /** The pools of connections to the database, by name. */
  readonly databasePools = new Map<string, PoolReading>();

  readonly databaseConnections = new Gauge({
    name: 'passkey_database_connections',
    help: 'Connections to the database by pool; busy ones run a statement or a transaction',
    labelNames: ['pool', 'state'],
    registers: [this.registry],
    collect: () => {
      for (const [pool, { totalCount, idleCount }] of this.databasePools) {
        this.databaseConnections.set({ pool, state: 'busy' }, totalCount - idleCount);
        this.databaseConnections.set({ pool, state: 'idle' }, idleCount);
      }
    },
  });

  readonly databaseConnectionsLimit = new Gauge({
    name: 'passkey_database_connections_limit',
    help: 'Connections to the database that a pool may have',
    labelNames: ['pool'],
    registers: [this.registry],
    collect: () => {
      for (const [pool, { options }] of this.databasePools) this.databaseConnectionsLimit.set({ pool }, options.max);
    },
  });

  readonly databaseWaiting = new Gauge({
    name: 'passkey_database_waiting',
    help: 'Statements and transactions that wait for a connection to the database, by pool',
    labelNames: ['pool'],
    registers: [this.registry],
    collect: () => {
      for (const [pool, { waitingCount }] of this.databasePools) this.databaseWaiting.set({ pool }, waitingCount);
    },
  });

  readonly batchRows = new Histogram({
    name: 'passkey_database_batch_rows',
    help: 'Rows of concurrent requests that went in one statement, by statement',
    labelNames: ['statement'],
    buckets: [1, 2, 4, 8, 16, 32, 64],
    registers: [this.registry],
  });

  readonly batchDuration = new Histogram({
    name: 'passkey_database_batch_duration_seconds',
    help: 'Duration of statements that requests share, from the wait for a connection to the result, by statement',
    labelNames: ['statement'],
    buckets: DURATIONS,
    registers: [this.registry],
  });

  /** Checks readiness: which indicators are up. Never throws. */
  checkIndicators: () => Promise<Readonly<Record<string, boolean>>> = () => Promise.resolve({});

  readonly indicatorUp = new Gauge({
    name: 'passkey_health_indicator_up',
    help: '1 if the indicator of readiness is up, 0 if it is down',
    labelNames: ['indicator'],
    aggregator: 'min',
    registers: [this.registry],
    collect: async () => {
      for (const [indicator, isUp] of Object.entries(await this.checkIndicators()))
        this.indicatorUp.set({ indicator }, isUp ? 1 : 0);
    },
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
    help: 'Reloads of the trust store, the access policy, the attestation roots, the FIDO metadata, the keys of receipts and signals and the receivers of pushes, by outcome; a failure leaves the previous one in use',
    labelNames: ['resource', 'outcome'],
    registers: [this.registry],
  });

  readonly pushes = createPushMetrics(this.registry);

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

  readonly browserKeyRisks = new Counter({
    name: 'passkey_browser_key_risks_total',
    help: 'Accepted payments by a browser-bound key that is not trusted, or by none after a trusted one, by risk',
    labelNames: ['risk'],
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

  readonly migration = new MigrationMetrics(this.registry);

  /** Absent before the first readiness probe. All workers have the same clock. */
  readonly databaseClockOffset = new Gauge({
    name: 'passkey_database_clock_offset_seconds',
    help: 'Seconds by which the clock of the service is ahead of the clock of the database, at the last readiness probe',
    aggregator: 'first',
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

  readonly signals = createSignalMetrics(this.registry);
  readonly statistics = createStatisticsMetrics(this.registry);
  readonly receipts = createReceiptCounter(this.registry);
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
    help: 'Always 1, with the versions of the service and of Node.js',
    labelNames: ['version', 'node'],
    aggregator: 'max',
    registers: [this.registry],
  });

  constructor() {
    // A gauge without labels would show 0 before it is set: for a time, that is 1970.
    const times = [this.latestCheckpoint, this.reconciliationCompleted, this.databaseClockOffset];
    for (const gauge of [...times, this.spentChallengePeriodsEnd, this.metadataNextUpdate]) gauge.remove();
    this.buildInfo.set({ version: VERSION, node: process.versions.node }, 1);
    registerProcessMetrics(this.registry);
  }
}
