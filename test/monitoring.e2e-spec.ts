import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parser } from '@prometheus-io/lezer-promql';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { parse } from 'yaml';
import { WorkersMetrics } from '../src/app/workers/workers-metrics.js';
import { AUDIT_EVENTS } from '../src/audit/audit-entry.js';
import type { LogFailure } from '../src/audit-log/log-failures.js';
import { Metrics } from '../src/telemetry/metrics.js';
import { TestService } from './support/service.js';

const FOLDER = 'deploy/monitoring';

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}
interface RuleTest {
  readonly name: string;
  readonly promql_expr_test: readonly { readonly expr: string; readonly exp_samples: readonly { labels: string }[] }[];
}
interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: Readonly<Record<'x' | 'y' | 'w' | 'h', number>>;
  readonly targets?: readonly { readonly expr: string }[];
}
interface Dashboard {
  readonly uid: string;
  readonly panels: readonly Panel[];
}

const readYaml = (name: string): unknown => parse(readFileSync(`${FOLDER}/${name}`, 'utf8'));

const rules = (readYaml('alerts.yml') as { groups: { rules: Rule[] }[] }).groups.flatMap(({ rules }) => rules);
const tests = ['alerts.test.yml', 'alerts-of-days.test.yml'].flatMap(
  (name) => (readYaml(name) as { tests: RuleTest[] }).tests,
);
const dashboards = readdirSync(`${FOLDER}/grafana`).map(
  (file) => [file, JSON.parse(readFileSync(`${FOLDER}/grafana/${file}`, 'utf8')) as Dashboard] as const,
);
const runbook = readFileSync('docs/runbook.md', 'utf8');

const panels = dashboards.flatMap(([file, { panels }]) => panels.map((panel) => ({ file, ...panel })));
const queries: [where: string, expr: string][] = [
  ...rules.map(({ alert, expr }): [string, string] => [alert, expr]),
  ...panels.flatMap(({ file, title, targets = [] }) =>
    targets.map(({ expr }): [string, string] => [`${file}, “${title}”`, expr.replaceAll('$__rate_interval', '5m')]),
  ),
];

/** Labels that Prometheus adds to every series of a target. */
const OF_TARGETS = ['job', 'instance'];
/** Series that Prometheus makes itself. */
const OF_PROMETHEUS: Readonly<Record<string, readonly string[]>> = {
  up: [],
  ALERTS: ['alertname', 'alertstate', 'severity'],
};

interface Query {
  readonly metrics: readonly string[];
  /** The labels of a query: those that it matches, and those that it groups by. */
  readonly labels: readonly string[];
  readonly matchers: readonly { readonly label: string; readonly operator: string; readonly value: string }[];
}

/** @throws Error if Prometheus' own grammar does not accept the expression */
function readQuery(expr: string): Query {
  const [metrics, labels, matchers]: [string[], string[], Query['matchers'][number][]] = [[], [], []];
  parser.parse(expr).iterate({
    enter: ({ name, from, to, node }) => {
      const text = expr.slice(from, to);
      if (node.type.isError) throw new Error(`no PromQL near ${expr.slice(Math.max(0, from - 20), to + 20)}`);
      if (name === 'Identifier') metrics.push(text);
      if (name === 'LabelName') labels.push(text);
      if (name !== 'UnquotedLabelMatcher') return;
      const [, label = '', operator = '', value = ''] = /^(\w+)\s*(=~|!~|!=|=)\s*"(.*)"$/s.exec(text) ?? [];
      matchers.push({ label, operator, value });
    },
  });
  return { metrics, labels, matchers };
}

let service: TestService;
let exposition: string;
beforeAll(async () => {
  service = await TestService.start();
  exposition = await (await fetch(`${service.running.managementUrl}/metrics`)).text();
  exposition += await new WorkersMetrics(2).renderMetrics([]);
});
afterAll(() => service.stop());

/** Returns the labels of a metric of the running service; undefined if it has no such metric. */
function findLabels(series: string): readonly string[] | undefined {
  const name = series.replace(/_(?:bucket|sum|count)$/, '');
  const isKnown = [series, name].find((each) => exposition.includes(`# TYPE ${each} `));
  if (isKnown === undefined) return OF_PROMETHEUS[series];
  const metric = service.running.app.get(Metrics).registry.getSingleMetric(isKnown);
  const { labelNames = [] } = (metric ?? {}) as { labelNames?: readonly string[] };
  return series.endsWith('_bucket') ? [...labelNames, 'le'] : labelNames;
}

describe('the queries of the alerts and of the dashboards', () => {
  it.each(queries)('%s asks only for metrics and labels of a running service', (_, expr) => {
    const { metrics, labels } = readQuery(expr);
    expect(metrics.length).toBeGreaterThan(0);
    const found = metrics.map((name) => [name, findLabels(name)] as const);
    expect(found.filter(([, its]) => its === undefined)).toEqual([]);
    const known = [...OF_TARGETS, ...found.flatMap(([, its]) => its ?? [])];
    expect(labels.filter((label) => !known.includes(label))).toEqual([]);
  });

  it('name only types of events that are recorded', () => {
    const types = queries
      .flatMap(([, expr]) => readQuery(expr).matchers)
      .filter(({ label }) => label === 'type')
      .flatMap(({ value }) => value.split('|'));
    expect(types.length).toBeGreaterThan(20);
    const events = Object.keys(AUDIT_EVENTS);
    expect(types.filter((type) => !events.some((event) => new RegExp(`^(?:${type})$`).test(event)))).toEqual([]);
  });

  it('are refused when they are no PromQL, or name what does not exist', () => {
    expect(() => readQuery('sum by (instance (up)')).toThrow('no PromQL');
    expect(findLabels('passkey_http_request_total')).toBeUndefined();
    expect(findLabels('passkey_http_request_duration_seconds_bucket')).toContain('le');
  });
});

describe('an alert', () => {
  it.each(rules.map((rule) => [rule.alert, rule] as const))('%s says what it means and what to do', (alert, rule) => {
    const { labels, annotations } = rule;
    expect(alert).toMatch(/^Passkey[A-Z]\w+$/);
    expect(['critical', 'warning']).toContain(labels['severity']);
    expect(annotations['summary']).toMatch(/^(?:[A-Z].{15,}|\{\{.{15,})[^.]$/);
    expect(annotations['description']).toMatch(/^[A-Z].{20,}\.$/);
    expect(annotations['runbook_url']).toMatch(/^docs\/runbook\.md#[\w-]+$/);
  });

  it.each(rules.map(({ alert }) => [alert]))(
    '%s has a case in which it fires, and one in which it must not',
    (alert) => {
      const cases = tests.flatMap(({ promql_expr_test: each }) => each);
      const own = cases.filter(({ expr }) => expr === `ALERTS{alertname="${alert}",alertstate="firing"}`);
      expect(own.filter(({ exp_samples: samples }) => samples.length > 0).length).toBeGreaterThan(0);
      expect(own.filter(({ exp_samples: samples }) => samples.length === 0).length).toBeGreaterThan(0);
    },
  );

  it('of each name is there once', () => {
    const names = rules.map(({ alert }) => alert);
    expect(names).toEqual([...new Set(names)]);
  });

  const FAILURES: Record<LogFailure, true> = {
    unreachable: true,
    'sequencer-failed': true,
    'sequencer-lag': true,
    partitions: true,
    'log-altered': true,
    'log-truncated': true,
    'event-altered': true,
    'event-unsealed': true,
    anchor: true,
    'self-verification': true,
  };

  it.each(Object.keys(FAILURES))('matches passkey_audit_failing with the failure %s', (failure) => {
    const matching = rules.filter(({ expr }) => {
      const { metrics, matchers } = readQuery(expr);
      return metrics.includes('passkey_audit_failing') && matchers.every((matcher) => matches(matcher, failure));
    });
    expect(matching.map(({ alert }) => alert)).toHaveLength(1);
  });
});

function matches({ operator, value }: { operator: string; value: string }, failure: string): boolean {
  const isMatch = operator.endsWith('~') ? new RegExp(`^(?:${value})$`).test(failure) : value === failure;
  return operator.startsWith('!') ? !isMatch : isMatch;
}

const DATASOURCE = { const: { type: 'prometheus', uid: '${datasource}' } };
const TEXT = { type: 'string', minLength: 1 };
const isInteger = (minimum: number, maximum = 100_000): object => ({ type: 'integer', minimum, maximum });

/** What Grafana needs in order to import a dashboard: https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model */
const DASHBOARD = {
  type: 'object',
  required: ['uid', 'title', 'description', 'tags', 'schemaVersion', 'time', 'refresh', 'templating', 'panels'],
  // An `id` is a row of one Grafana; a dashboard with another's does not import.
  not: { anyOf: [{ required: ['id'] }, { required: ['__inputs'] }] },
  properties: {
    uid: { type: 'string', pattern: '^[a-z0-9-]{1,40}$' },
    title: TEXT,
    description: TEXT,
    tags: { type: 'array', contains: { const: 'passkey-manager' } },
    schemaVersion: isInteger(36),
    templating: {
      type: 'object',
      properties: {
        list: {
          type: 'array',
          prefixItems: [
            { type: 'object', properties: { name: { const: 'datasource' }, query: { const: 'prometheus' } } },
            { type: 'object', properties: { name: { const: 'instance' }, datasource: DATASOURCE } },
          ],
          minItems: 2,
        },
      },
    },
    panels: {
      type: 'array',
      minItems: 10,
      items: {
        type: 'object',
        required: ['id', 'type', 'title', 'gridPos'],
        properties: {
          id: isInteger(1),
          type: { enum: ['row', 'stat', 'timeseries', 'table'] },
          title: TEXT,
          gridPos: {
            type: 'object',
            required: ['x', 'y', 'w', 'h'],
            properties: { x: isInteger(0, 23), y: isInteger(0), w: isInteger(1, 24), h: isInteger(1) },
          },
        },
        if: { properties: { type: { not: { const: 'row' } } } },
        then: {
          required: ['datasource', 'targets', 'fieldConfig', 'options'],
          properties: {
            datasource: DATASOURCE,
            fieldConfig: {
              type: 'object',
              required: ['defaults', 'overrides'],
              properties: { defaults: { type: 'object', required: ['unit'] } },
            },
            targets: {
              type: 'array',
              minItems: 1,
              items: {
                type: 'object',
                required: ['refId', 'expr', 'datasource', 'legendFormat'],
                properties: { refId: { pattern: '^[A-Z]$' }, expr: TEXT, datasource: DATASOURCE },
              },
            },
          },
        },
      },
    },
  },
};

describe('a dashboard', () => {
  const validate = new Ajv2020({ allErrors: true, strict: false }).compile(DASHBOARD);

  it.each(dashboards)('%s has the shape that Grafana imports', (_, dashboard) => {
    validate(dashboard);
    expect(validate.errors).toBeNull();
  });

  it.each(dashboards)('%s has a uid of its own that stays, and panels beside each other', (file, { uid, panels }) => {
    expect(uid).toBe(`passkey-manager-${file.replace('.json', '')}`);
    const ids = panels.map(({ id }) => id);
    expect(ids).toEqual([...new Set(ids)]);
    const taken = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, cell) => `${String(x + (cell % w))},${String(y + Math.floor(cell / w))}`),
    );
    expect(taken).toHaveLength(new Set(taken).size);
    expect(Math.max(...panels.map(({ gridPos: { x, w } }) => x + w))).toBeLessThanOrEqual(24);
  });

  it('is there for operators and for auditors', () => {
    expect(dashboards.map(([file]) => file)).toEqual(['auditor.json', 'operator.json']);
  });
});

describe('docs/runbook.md', () => {
  const [table = ''] = /^## Metrics and alerts$.*?(?=^## )/ms.exec(runbook) ?? [];

  it('explains every metric of a running service, and no other', () => {
    const names = [...exposition.matchAll(/^# TYPE (passkey_\w+) /gm)].map(([, name = '']) => name);
    const listed = [...table.matchAll(/`(passkey_\w+)`/g)].map(([, name = '']) => name);
    expect([...new Set(listed)].toSorted()).toEqual([...new Set(names)].toSorted());
  });
});
