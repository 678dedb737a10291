import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { parse } from 'yaml';
import { Metrics } from '../../src/telemetry/metrics.js';
import { listDeadlines, WATCHED } from './deadlines.js';
import { parseMetrics, pickSamples } from './metrics.js';

const NOW = new Date('2026-03-01T00:00:00.000Z');
const DAY = 86_400;
const after = (seconds: number): number => NOW.getTime() / 1_000 + seconds;

describe('parseMetrics', () => {
  it('reads what the service’s own library writes: labels with any character, and every kind of value', async () => {
    const registry = new Registry();
    const labelNames = ['a', 'b'];
    const gauge = new Gauge({ name: 'gauge', help: 'has "quotes" and \\', labelNames, registers: [registry] });
    gauge.set({ a: 'x,y="z"} 5', b: 'back\\slash\nline' }, -1.5e-7);
    gauge.set({ a: 'never', b: '' }, NaN);
    new Counter({ name: 'counter_total', help: 'counts', registers: [registry] }).inc(3);
    new Histogram({ name: 'times', help: 'has buckets', buckets: [1], registers: [registry] }).observe(0.5);
    expect(parseMetrics(await registry.metrics())).toEqual([
      { name: 'gauge', labels: { a: 'x,y="z"} 5', b: 'back\\slash\nline' }, value: -1.5e-7 },
      { name: 'gauge', labels: { a: 'never', b: '' }, value: NaN },
      { name: 'counter_total', labels: {}, value: 3 },
      { name: 'times_bucket', labels: { le: '1' }, value: 1 },
      { name: 'times_bucket', labels: { le: '+Inf' }, value: 1 },
      { name: 'times_sum', labels: {}, value: 0.5 },
      { name: 'times_count', labels: {}, value: 1 },
    ]);
  });

  it('reads a sample with a time, and leaves out lines that are none', () => {
    const text = '# HELP a b\na{b="c"} 1 1772323200000\n\nnot a sample at all\nb{c=d} 1\nc one\nd +Inf\n';
    expect(parseMetrics(text)).toEqual([
      { name: 'a', labels: { b: 'c' }, value: 1 },
      { name: 'd', labels: {}, value: Infinity },
    ]);
  });
});

describe('the deadlines', () => {
  const written = async (set: (metrics: Metrics) => void): Promise<ReturnType<typeof listDeadlines>> => {
    const metrics = new Metrics();
    set(metrics);
    return listDeadlines(parseMetrics(await metrics.registry.metrics()), NOW);
  };

  it('come from metrics that the service has, the first one first', async () => {
    const deadlines = await written((metrics) => {
      metrics.certificateExpiry.set({ file: 'certificate' }, after(90 * DAY));
      metrics.certificateExpiry.set({ file: 'ca' }, after(7 * DAY));
      metrics.certificateExpiry.set({ file: 'crl' }, after(3_600));
      metrics.metadataNextUpdate.set(after(-3 * DAY));
      metrics.spentChallengePeriodsEnd.set(after(4 * DAY));
    });
    expect(deadlines.map(({ runbook, urgency }) => [runbook, urgency])).toEqual([
      ['fido-metadata-is-stale', 'past'],
      ['the-crl-is-about-to-expire', 'now'],
      ['periods-of-spent-challenges-are-missing', 'later'],
      ['a-certificate-is-about-to-expire', 'soon'],
      ['a-certificate-is-about-to-expire', 'later'],
    ]);
    expect(deadlines[1]!.at).toEqual(new Date(after(3_600) * 1_000));
  });

  it('lack what the service has not', async () => {
    expect(await written(() => undefined)).toEqual([]);
  });

  it('take the first to end of several workers', () => {
    const text = [2, 1].map(
      (days) => `${WATCHED[0]!.metric}{file="crl",worker="${String(days)}"} ${String(after(days * DAY))}`,
    );
    expect(listDeadlines(parseMetrics(text.join('\n')), NOW)[0]!.at).toEqual(new Date(after(DAY) * 1_000));
  });

  it('are urgent when the alerts fire', () => {
    interface Rule {
      readonly expr?: string;
      readonly labels?: { readonly severity: string };
      readonly annotations?: { readonly runbook_url: string };
    }
    const { groups } = parse(readFileSync('deploy/monitoring/alerts.yml', 'utf8')) as { groups: { rules: Rule[] }[] };
    const rules = groups.flatMap((group) => group.rules);
    const thresholdsOf = (page: string, severity: string): number[] =>
      rules
        .filter(
          ({ annotations, labels }) => annotations?.runbook_url.endsWith(`#${page}`) && labels?.severity === severity,
        )
        .map(({ expr = '' }) => {
          const [, value = '', times = '1'] = /(?:- time\(\) < |\+ )(\d+)(?: \* (\d+))?/.exec(expr) ?? [];
          return Number(value) * Number(times) * (expr.includes('+') ? -1 : 1);
        });
    for (const { runbook, soon, now } of WATCHED) {
      const [warning, critical] = [thresholdsOf(runbook, 'warning'), thresholdsOf(runbook, 'critical')];
      expect([runbook, [soon], [now]]).toEqual([
        runbook,
        warning.length ? warning : critical,
        critical.length ? critical : warning,
      ]);
    }
  });

  it('name pages of the runbook and metrics that exist', async () => {
    const runbook = readFileSync('docs/runbook.md', 'utf8');
    for (const { metric } of WATCHED) expect(runbook).toContain(metric);
    expect(pickSamples(parseMetrics(await new Metrics().registry.metrics()), 'passkey_build_info')).toHaveLength(1);
  });
});
