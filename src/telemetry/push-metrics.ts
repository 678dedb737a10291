import { Counter, Gauge, type Registry } from 'prom-client';

export interface PushMetrics {
  readonly sent: Counter<'outcome'>;
  readonly failingStreams: Gauge;
  readonly pausedStreams: Counter;
}

/** Makes the metrics of signals that are pushed. */
export function createPushMetrics(registry: Registry): PushMetrics {
  const registers = [registry];
  return {
    sent: new Counter({
      name: 'passkey_signal_pushes_total',
      help: 'Pushes of signals: accepted, refused for good by their receiver, or failed and tried again',
      labelNames: ['outcome'],
      registers,
    }),
    failingStreams: new Gauge({
      name: 'passkey_signal_push_failing_streams',
      help: 'Enabled streams whose last push failed, of all replicas together; 0 in a process that pushes nothing',
      aggregator: 'max',
      registers,
    }),
    pausedStreams: new Counter({
      name: 'passkey_signal_push_paused_streams_total',
      help: 'Streams that this replica has paused because their pushes had failed for too long, or their endpoint had been changed by SQL',
      registers,
    }),
  };
}
