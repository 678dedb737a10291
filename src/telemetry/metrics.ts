import { Injectable } from '@nestjs/common';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { registerLostLinesMetric } from './log-output.js';

/**
 * The Prometheus metrics. All labels have a bounded number of values: routes, statuses and the contract's closed lists.
 * With several workers, `aggregator` says how their values are combined; the default is the sum.
 */
@Injectable()
export class Metrics {
  readonly registry = new Registry();

  readonly requests = new Histogram({
    name: 'passkey_http_request_duration_seconds',
    help: 'Duration of requests by method, route and status',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5],
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

  readonly connections = new Gauge({
    name: 'passkey_connections',
    help: 'Connections of callers (established) and connections in their TLS handshake (handshake)',
    labelNames: ['state'],
    registers: [this.registry],
  });

  readonly connectionsRefused = new Counter({
    name: 'passkey_connections_refused_total',
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

  readonly handshakesRefused = new Counter({
    name: 'passkey_tls_handshakes_refused_total',
    help: 'TLS handshakes that failed',
    registers: [this.registry],
  });

  readonly certificateExpiry = new Gauge({
    name: 'passkey_certificate_not_after_seconds',
    help: 'Unix time at which the server certificate, the first CA and the first CRL expire',
    labelNames: ['file'],
    aggregator: 'min',
    registers: [this.registry],
  });

  readonly reloads = new Counter({
    name: 'passkey_reloads_total',
    help: 'Reloads of the trust store, the access policy and the attestation roots, by outcome; a failure leaves the previous one in use',
    labelNames: ['what', 'outcome'],
    registers: [this.registry],
  });

  readonly attestations = new Counter({
    name: 'passkey_attestations_total',
    help: 'Valid attestations by format, trust, root if trusted and cause if untrusted',
    labelNames: ['format', 'trust', 'root', 'cause'],
    registers: [this.registry],
  });

  readonly epoch = new Gauge({
    name: 'passkey_identity_epoch',
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

  readonly auditLag = new Gauge({
    name: 'passkey_audit_lag_seconds',
    help: 'Age of the oldest pending audit event',
    aggregator: 'max',
    registers: [this.registry],
  });

  readonly auditSize = new Gauge({
    name: 'passkey_audit_log_size',
    help: 'Sequenced audit events',
    aggregator: 'max',
    registers: [this.registry],
  });

  readonly auditCheckpoint = new Gauge({
    name: 'passkey_audit_checkpoint_seconds',
    help: 'Unix time at which the latest checkpoint of the audit log was signed',
    aggregator: 'max',
    registers: [this.registry],
  });

  /** Absent if no anchor is configured; 0 if the anchor has received no checkpoint since the start. */
  readonly auditAnchored = new Gauge({
    name: 'passkey_audit_anchored_checkpoint_seconds',
    help: 'Unix time at which the latest checkpoint that the anchor has was signed',
    labelNames: ['anchor'],
    aggregator: 'max',
    registers: [this.registry],
  });

  readonly auditFailures = new Counter({
    name: 'passkey_audit_failures_total',
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

  /** Absent if no FIDO metadata is configured. */
  readonly metadataNextUpdate = new Gauge({
    name: 'passkey_metadata_next_update_seconds',
    help: 'Unix time at which the next FIDO metadata is due, by the serial number of the current one',
    labelNames: ['no'],
    aggregator: 'min',
    registers: [this.registry],
  });

  constructor() {
    collectDefaultMetrics({ register: this.registry });
    registerLostLinesMetric(this.registry);
  }
}
