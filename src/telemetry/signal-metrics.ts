import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

const createMetrics = (registers: Registry[]) => ({
  waiting: new Gauge({
    name: 'passkey_signals_waiting',
    help: 'Signals that no receiver has acknowledged yet',
    aggregator: 'max',
    registers,
  }),

  oldest: new Gauge({
    name: 'passkey_signals_oldest_seconds',
    help: 'Age of the oldest signal that its receiver has not acknowledged yet; 0 if none waits',
    aggregator: 'max',
    registers,
  }),

  streams: new Gauge({
    name: 'passkey_signal_streams',
    help: 'Streams of signals by their status',
    labelNames: ['status'],
    aggregator: 'max',
    registers,
  }),

  delay: new Histogram({
    name: 'passkey_signal_delivery_seconds',
    help: 'Time from a change to an answer or a request that carries its signal, once for each delivery',
    buckets: [0.1, 0.25, 0.5, 1, 2, 5, 30, 300, 3_600, 86_400],
    registers,
  }),

  acknowledged: new Counter({
    name: 'passkey_signals_acknowledged_total',
    help: 'Signals that their receiver has acknowledged',
    registers,
  }),

  errors: new Counter({
    name: 'passkey_signal_errors_total',
    help: 'Signals that their receiver refused, by the code of its error',
    labelNames: ['err'],
    registers,
  }),

  dropped: new Counter({
    name: 'passkey_signals_dropped_total',
    help: 'Signals that were dropped before they were delivered: older than the retention, or more than a stream may have (backlog)',
    labelNames: ['reason'],
    registers,
  }),

  pollsWaiting: new Gauge({
    name: 'passkey_signal_polls_waiting',
    help: 'Polls of receivers that wait for a signal',
    registers,
  }),
});

export type SignalMetrics = ReturnType<typeof createMetrics>;

/** Makes the metrics of Shared Signals. */
export function createSignalMetrics(registry: Registry): SignalMetrics {
  return createMetrics([registry]);
}
