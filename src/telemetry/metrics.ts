import { Injectable } from '@nestjs/common';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { countLostLines } from './log-output.js';

/**
 * What operators watch (Prometheus). Labels are bounded: routes, statuses and the contract's closed lists. Of several
 * workers, `aggregator` says what is told; where there is none, their sum.
 */
@Injectable()
export class Metrics {
  readonly registry = new Registry();

  readonly requests = new Histogram({
    name: 'passkey_http_request_duration_seconds',
    help: 'Requests by route and status',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5],
    registers: [this.registry],
  });

  readonly requestsInFlight = new Gauge({
    name: 'passkey_http_requests_in_flight',
    help: 'Requests whose handler runs, or has not settled yet though its caller has gone',
    registers: [this.registry],
  });

  readonly requestsWaiting = new Gauge({
    name: 'passkey_http_requests_waiting',
    help: 'Requests that wait until their caller has room in its share',
    registers: [this.registry],
  });

  readonly requestsShed = new Counter({
    name: 'passkey_http_requests_shed_total',
    help: 'Requests that were refused because their caller had too many open, or because they waited too long',
    registers: [this.registry],
  });

  readonly connections = new Gauge({
    name: 'passkey_connections',
    help: 'Connections of callers (established), and those whose TLS handshake is not over (handshake)',
    labelNames: ['state'],
    registers: [this.registry],
  });

  readonly connectionsRefused = new Counter({
    name: 'passkey_connections_refused_total',
    help: 'Connections that were closed because too many were open (listener-full) or not over their handshake',
    labelNames: ['reason'],
    registers: [this.registry],
  });

  readonly events = new Counter({
    name: 'passkey_audit_events_total',
    help: 'What happened, by audit event type, outcome and reason',
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
    help: 'When the server certificate, the first CA and the first CRL end (Unix time)',
    labelNames: ['file'],
    aggregator: 'min',
    registers: [this.registry],
  });

  readonly reloads = new Counter({
    name: 'passkey_reloads_total',
    help: 'Replacements of the trust material, of the access policy and of the attestation roots, by outcome; a failure left the old one in force',
    labelNames: ['what', 'outcome'],
    registers: [this.registry],
  });

  readonly attestations = new Counter({
    name: 'passkey_attestations_total',
    help: 'Attestations that are true, by format and trust, by the root of a trusted one and by why one is untrusted',
    labelNames: ['format', 'trust', 'root', 'cause'],
    registers: [this.registry],
  });

  readonly epoch = new Gauge({
    name: 'passkey_identity_epoch',
    help: 'Which trust material is in force: counts from 1 at the start',
    aggregator: 'max',
    registers: [this.registry],
  });

  readonly decisions = new Counter({
    name: 'passkey_access_decisions_total',
    help: 'Decisions of the access policy, by permission and outcome',
    labelNames: ['permission', 'outcome'],
    registers: [this.registry],
  });

  readonly riskSignals = new Counter({
    name: 'passkey_risk_signals_total',
    help: 'Signs that something is wrong with a caller or a passkey',
    labelNames: ['signal'],
    registers: [this.registry],
  });

  readonly auditLag = new Gauge({
    name: 'passkey_audit_lag_seconds',
    help: 'For how long the oldest audit event has waited for its place in the log',
    aggregator: 'max',
    registers: [this.registry],
  });

  readonly auditSize = new Gauge({
    name: 'passkey_audit_log_size',
    help: 'Events that have their place in the audit log',
    aggregator: 'max',
    registers: [this.registry],
  });

  readonly auditCheckpoint = new Gauge({
    name: 'passkey_audit_checkpoint_seconds',
    help: 'When the latest checkpoint of the audit log was signed (Unix time)',
    aggregator: 'max',
    registers: [this.registry],
  });

  /** Absent where no anchor is configured; 0: it has none since the start. */
  readonly auditAnchored = new Gauge({
    name: 'passkey_audit_anchored_checkpoint_seconds',
    help: 'When the last checkpoint that an anchor has was signed (Unix time)',
    labelNames: ['anchor'],
    aggregator: 'max',
    registers: [this.registry],
  });

  readonly auditFailures = new Counter({
    name: 'passkey_audit_failures_total',
    help: 'Turns in which the audit log failed, by how',
    labelNames: ['failure'],
    registers: [this.registry],
  });

  readonly auditFailing = new Gauge({
    name: 'passkey_audit_failing',
    help: 'Whether the audit log fails in this way now (1) or did before (0)',
    labelNames: ['failure'],
    aggregator: 'max',
    registers: [this.registry],
  });

  /** Absent where no metadata is configured. */
  readonly metadataNextUpdate = new Gauge({
    name: 'passkey_metadata_next_update_seconds',
    help: 'When the FIDO metadata in use, of this serial number, is due to be replaced (Unix time)',
    labelNames: ['no'],
    aggregator: 'min',
    registers: [this.registry],
  });

  constructor() {
    collectDefaultMetrics({ register: this.registry });
    countLostLines(this.registry);
  }
}
