import { beforeEach, describe, expect, it } from '@jest/globals';
import { Metrics } from '../../telemetry/metrics.js';
import { WorkersMetrics } from './workers-metrics.js';

/** A worker in this process, with its own metrics. */
class FakeWorker {
  state: 'serving' | 'ended' = 'serving';
  hangs = false;
  readonly metrics = new Metrics();

  ask(): Promise<unknown> {
    return this.hangs ? Promise.resolve(undefined) : this.metrics.registry.getMetricsAsJSON();
  }
}

let workers: [FakeWorker, FakeWorker];
let metrics: WorkersMetrics;
beforeEach(() => {
  workers = [new FakeWorker(), new FakeWorker()];
  metrics = new WorkersMetrics(2);
  for (const [index, { metrics: own }] of workers.entries()) {
    own.handshakesRefused.inc(index + 1);
    own.requests.observe({ method: 'GET', route: '/', status_code: 200 }, 0.003);
    own.oldestPendingEventAge.set(index * 20);
    own.certificateExpiry.set({ file: 'crl' }, 1_000 + index);
  }
});

const COUNT = 'passkey_http_request_duration_seconds_count{method="GET",route="/",status_code="200"}';

async function read(...series: string[]): Promise<number[]> {
  const lines = (await metrics.renderMetrics(workers)).split('\n');
  return series.map((name) => Number(lines.find((line) => line.startsWith(`${name} `))?.slice(name.length)));
}

function end(worker: FakeWorker): void {
  worker.state = 'ended';
  metrics.recordDeath(worker);
}

describe('the metrics of several workers', () => {
  it('are the sums of their counters, the longest lag and the earliest end', async () => {
    expect(await read('passkey_tls_handshakes_refused_total', COUNT)).toEqual([3, 2]);
    expect(
      await read(
        'passkey_audit_oldest_pending_event_age_seconds',
        'passkey_certificate_expiry_timestamp_seconds{file="crl"}',
      ),
    ).toEqual([20, 1_000]);
    expect(await read('passkey_workers_serving', 'passkey_worker_exits_total')).toEqual([2, 0]);
  });

  it('keep the last counts of a worker that dies, and drop its gauges', async () => {
    await read();
    for (const worker of workers) end(worker);
    const replacement = new FakeWorker();
    replacement.metrics.handshakesRefused.inc();
    workers = [replacement, new FakeWorker()];
    expect(
      await read('passkey_tls_handshakes_refused_total', COUNT, 'passkey_audit_oldest_pending_event_age_seconds'),
    ).toEqual([4, 2, 0]);
    expect(await read('passkey_workers_serving', 'passkey_worker_exits_total')).toEqual([2, 2]);
  });

  it('include a worker that does not answer, with its last answer, and say that it does not serve', async () => {
    await read();
    workers[1].hangs = true;
    workers[0].metrics.handshakesRefused.inc();
    expect(
      await read('passkey_tls_handshakes_refused_total', 'passkey_workers_serving', 'passkey_workers_expected'),
    ).toEqual([4, 1, 2]);
  });
});
