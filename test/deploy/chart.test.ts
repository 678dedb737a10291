import assert from 'node:assert/strict';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { before, describe, it } from 'node:test';
import { parse } from 'yaml';
import { Helm, HELM_VERSIONS, type Manifest, parseManifests } from './helm.ts';
import { findMistakes } from './schemas.ts';
import { READ_BY_MIGRATION, readDrainSeconds, readSettings } from './settings.ts';
import { LEAST, VALUE_SETS, WRONG_VALUES } from './value-sets.ts';

/* eslint-disable @typescript-eslint/no-unsafe-member-access, @typescript-eslint/no-unsafe-call,
   @typescript-eslint/no-unsafe-argument, @typescript-eslint/no-unsafe-return -- each kind of manifest has another specification */

const FILES = 'deploy/helm/passkey-manager/files';
const read = (path: string): string => readFileSync(path, 'utf8');

interface Pod {
  readonly of: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly spec: NonNullable<Manifest['spec']>;
}

const listPods = (manifests: readonly Manifest[]): Pod[] =>
  manifests
    .filter(({ spec }) => spec?.template)
    .map(({ kind, spec }) => ({ of: kind, labels: spec.template.metadata.labels, spec: spec.template.spec }));
const listContainers = ({ spec }: Pod): Pod['spec'][] => [...(spec.initContainers ?? []), ...spec.containers];
const find = (manifests: readonly Manifest[], kind: string, name = 'passkey-manager'): Manifest => {
  const found = manifests.find((it) => it.kind === kind && it.metadata.name === name);
  assert.ok(found, `${kind} ${name}`);
  return found;
};
const selects = (selector: Readonly<Record<string, string>>, labels: Readonly<Record<string, string>> = {}): boolean =>
  Object.entries(selector).every(([key, value]) => labels[key] === value);

for (const version of HELM_VERSIONS) {
  await describe(`The chart, rendered by Helm ${version}`, async () => {
    let helm: Helm;
    before(async () => {
      helm = await Helm.open(version);
    });

    for (const [name, values] of Object.entries(VALUE_SETS)) {
      await it(`has no remark of the linter, and only fields and values that Kubernetes knows, with ${name}`, async () => {
        assert.match(await helm.lint(values), /1 chart\(s\) linted, 0 chart\(s\) failed/);
        assert.deepEqual(await findMistakes(await helm.template(values)), []);
      });
    }

    for (const [mistake, values, named] of WRONG_VALUES) {
      await it(`refuses ${mistake}`, async () => {
        await assert.rejects(helm.template(values), named);
      });
    }
  });
}

await describe('The check of manifests', async () => {
  const helm = await Helm.open('4.1.4');

  await it('finds a field that Kubernetes does not know, wherever it is', async () => {
    const manifests = await helm.template(LEAST);
    find(manifests, 'Deployment').spec.template.spec.containers[0].readinessProbe.httpGet.methd = 'GET';
    const [mistake = '', ...others] = await findMistakes(manifests);
    assert.match(mistake, /'"methd"' does not exist in type 'IHTTPGetAction'/);
    assert.deepEqual(others, []);
  });

  await it('finds a value of a wrong type, and a kind that does not exist', async () => {
    const manifests = await helm.template(LEAST);
    find(manifests, 'Deployment').spec.template.spec.terminationGracePeriodSeconds = '40s';
    const mistakes = await findMistakes([...manifests, { apiVersion: 'v1', kind: 'Servce', metadata: { name: 'x' } }]);
    assert.ok(mistakes.some((mistake) => mistake.includes('terminationGracePeriodSeconds must be integer')));
    assert.ok(mistakes.includes('v1 has no Servce'));
  });
});

for (const [name, values] of Object.entries(VALUE_SETS)) {
  await describe(`The manifests with ${name}`, async () => {
    const manifests = await (await Helm.open('4.1.4')).template(values);
    const pods = listPods(manifests);
    const deployment = find(manifests, 'Deployment').spec;
    const [service] = deployment.template.spec.containers;

    await it('run every container without root, privileges, capabilities, a token or a writable root', () => {
      assert.ok(pods.length > 0);
      for (const pod of pods) {
        const { automountServiceAccountToken, enableServiceLinks, securityContext } = pod.spec;
        assert.deepEqual([automountServiceAccountToken, enableServiceLinks], [false, false]);
        assert.equal(securityContext.runAsNonRoot, true);
        assert.equal(securityContext.seccompProfile.type, 'RuntimeDefault');
        for (const shared of ['hostNetwork', 'hostPID', 'hostIPC']) assert.ok(!(shared in pod.spec));
        assert.ok(!pod.spec.volumes.some((volume: object) => 'hostPath' in volume));
        for (const container of listContainers(pod)) {
          assert.deepEqual(container.securityContext, {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          });
          assert.ok(container.resources.limits.memory, container.name);
        }
      }
    });

    await it('mount what they name, and put no secret into the environment', () => {
      for (const pod of pods) {
        const volumes = pod.spec.volumes.map((volume: { name: string }) => volume.name);
        const mounted = listContainers(pod).flatMap(({ volumeMounts }) => volumeMounts) as Record<string, unknown>[];
        assert.deepEqual(new Set(mounted.map((mount) => mount['name'])), new Set(volumes));
        assert.ok(!mounted.some((mount) => 'subPath' in mount));
        for (const container of listContainers(pod)) {
          assert.ok(!('envFrom' in container));
          const paths = (container.volumeMounts as { mountPath: string }[]).map(({ mountPath }) => mountPath);
          for (const variable of (container.env ?? []) as Record<string, string>[]) {
            assert.deepEqual(Object.keys(variable), ['name', 'value']);
            const [path] = /\/etc\/passkey-manager\/\S+/.exec(variable['value'] ?? '') ?? [];
            if (path)
              assert.ok(
                paths.some((mount) => path.startsWith(`${mount}/`)),
                path,
              );
          }
        }
      }
    });

    await it('set only what the programs read, and each once', () => {
      for (const pod of pods) {
        for (const { env = [] } of listContainers(pod) as { env?: { name: string; value: unknown }[] }[]) {
          const names = env.map((variable) => variable.name);
          const known = pod.of === 'Job' ? READ_BY_MIGRATION : [...readSettings()];
          assert.deepEqual(
            names.filter((it) => !known.includes(it)),
            [],
          );
          assert.equal(new Set(names).size, names.length);
          assert.ok(env.every(({ value }) => typeof value === 'string'));
        }
      }
    });

    await it('select the pods of the service, and no other pod', () => {
      const selectors = [
        deployment.selector.matchLabels,
        find(manifests, 'Service').spec.selector,
        find(manifests, 'Service', 'passkey-manager-management').spec.selector,
        find(manifests, 'PodDisruptionBudget').spec.selector.matchLabels,
        ...manifests
          .filter((it) => it.kind === 'NetworkPolicy' && it.metadata.name === 'passkey-manager')
          .map(({ spec }) => spec.podSelector.matchLabels),
      ];
      for (const selector of selectors) {
        for (const pod of pods) assert.equal(selects(selector, pod.labels), pod.of === 'Deployment');
      }
    });

    await it('reach ports that the service has', () => {
      const ports = service.ports.map((port: { name: string }) => port.name);
      assert.deepEqual(ports, ['https', 'management']);
      const targets = manifests
        .filter(({ kind }) => kind === 'Service')
        .flatMap(({ spec }) => spec.ports.map((port: { targetPort: string }) => port.targetPort));
      assert.deepEqual(targets, ports);
      for (const probe of [service.startupProbe, service.livenessProbe, service.readinessProbe]) {
        assert.equal(probe.httpGet.port, 'management');
      }
      assert.equal(service.readinessProbe.httpGet.path, '/health/ready');
      assert.equal(service.livenessProbe.httpGet.path, '/health/live');
    });

    await it('give a stop the time that the service takes, after the pod has left the Service', () => {
      const delay = service.lifecycle.preStop.sleep.seconds;
      assert.ok(deployment.template.spec.terminationGracePeriodSeconds >= Number(delay) + readDrainSeconds() + 5);
      assert.equal(deployment.strategy.rollingUpdate.maxUnavailable, 0);
    });
  });
}

await describe('The chart', async () => {
  const helm = await Helm.open('4.1.4');
  const listSettings = async (values: object): Promise<Record<string, string>> => {
    const [{ env }] = find(await helm.template(values), 'Deployment').spec.template.spec.containers;
    return Object.fromEntries(
      (env as { name: string; value: string }[])
        .filter(({ name }) => /^PASSKEY_(?:RECEIPT|SIGNAL)_/.test(name))
        .map(({ name, value }) => [name, value]),
    );
  };

  await it('migrates before the service starts, with another role and another secret', async () => {
    const manifests = await helm.template(LEAST);
    const { metadata, spec } = find(manifests, 'Job', 'passkey-manager-migrate');
    const { annotations } = metadata as unknown as { annotations: Record<string, string> };
    assert.equal(annotations['helm.sh/hook'], 'pre-install,pre-upgrade');
    const [container] = spec.template.spec.containers;
    assert.deepEqual(container.command, ['node', 'dist/commands/migrate.js', '--grants']);
    assert.match(container.env[0].value, /passkey_migrator@/);
    const secrets = listPods(manifests).map(({ of, spec: { volumes } }) => [
      of,
      volumes.flatMap((volume: { secret?: { secretName: string } }) => volume.secret?.secretName ?? []),
    ]);
    assert.deepEqual(Object.fromEntries(secrets), {
      Deployment: ['passkey-manager-database', 'passkey-manager-tls', 'passkey-manager-keys'],
      Job: ['passkey-manager-migrator'],
    });
  });

  await it('needs nothing in the job that the installation makes later', async () => {
    const manifests = await helm.template(LEAST);
    const made = manifests.filter(({ metadata }) => !('annotations' in metadata)).map((it) => it.metadata.name);
    const job = JSON.stringify(find(manifests, 'Job', 'passkey-manager-migrate').spec.template.spec);
    assert.ok(!('serviceAccountName' in (JSON.parse(job) as object)));
    for (const it of made.filter((name) => name !== 'passkey-manager')) assert.ok(!job.includes(`"${it}"`), it);
  });

  await it('lets the migration give the log its own writer when the service uses one', async () => {
    const job = find(
      await helm.template(VALUE_SETS['a writer of its own for the log']!),
      'Job',
      'passkey-manager-migrate',
    );
    assert.deepEqual(job.spec.template.spec.containers[0].command, ['node', 'dist/commands/migrate.js', '--sequencer']);
  });

  await it('lets callers reach 8443 alone, and monitoring 8081 alone', async () => {
    const { ingress, policyTypes, egress } = find(await helm.template(LEAST), 'NetworkPolicy').spec;
    assert.deepEqual(policyTypes, ['Ingress', 'Egress']);
    const rules = ingress.map((rule: { from: object[]; ports: { port: string }[] }) => [
      rule.ports.map(({ port }) => port),
      rule.from.length,
    ]);
    assert.deepEqual(rules, [
      [['https'], 1],
      [['management'], 1],
    ]);
    const ports = egress.flatMap((rule: { ports: { port: number }[] }) => rule.ports.map(({ port }) => port));
    assert.deepEqual(ports, [53, 53, 5432]);
  });

  await it('gives receipts and signals their keys beside the others', async () => {
    const settings = await listSettings(VALUE_SETS['signals that receivers poll, and receipts']!);
    assert.deepEqual(settings, {
      PASSKEY_RECEIPT_KEY_FILE: '/etc/passkey-manager/keys/receipt.key',
      PASSKEY_SIGNAL_KEY_FILE: '/etc/passkey-manager/keys/signal.key',
      PASSKEY_SIGNAL_ISSUER: 'https://passkeys.bank.example',
    });
    assert.deepEqual(await listSettings(LEAST), {});
  });

  await it('gives pushes their files, and lets the service reach receivers and nothing else', async () => {
    const values = VALUE_SETS['signals that are pushed']!;
    assert.deepEqual(await listSettings(values), {
      PASSKEY_SIGNAL_KEY_FILE: '/etc/passkey-manager/keys/signal.key',
      PASSKEY_SIGNAL_ISSUER: 'https://passkeys.bank.example:8443',
      PASSKEY_SIGNAL_PUSH_RECEIVERS_FILE: '/etc/passkey-manager/push/receivers.yaml',
      PASSKEY_SIGNAL_PUSH_CA_FILE: '/etc/passkey-manager/push-ca/ca.crt',
      PASSKEY_SIGNAL_PUSH_CERT_FILE: '/etc/passkey-manager/push-client/tls.crt',
      PASSKEY_SIGNAL_PUSH_KEY_FILE: '/etc/passkey-manager/push-client/tls.key',
    });
    const manifests = await helm.template(values);
    const { volumes } = find(manifests, 'Deployment').spec.template.spec;
    assert.deepEqual(volumes.slice(-3), [
      { name: 'push', configMap: { name: 'push-receivers' } },
      { name: 'push-ca', configMap: { name: 'push-ca' } },
      { name: 'push-client', secret: { secretName: 'push-client', defaultMode: 0o440 } },
    ]);
    const { egress } = find(manifests, 'NetworkPolicy').spec;
    assert.deepEqual(egress.slice(2), [
      {
        ports: [443, 8443].map((port) => ({ protocol: 'TCP', port })),
        to: [{ ipBlock: { cidr: '203.0.113.0/24' } }],
      },
    ]);
    assert.equal(find(await helm.template(LEAST), 'NetworkPolicy').spec.egress.length, 2);
  });

  await it('scales by a metric that the service has', async () => {
    const { metrics } = find(await helm.template(VALUE_SETS['everything']!), 'HorizontalPodAutoscaler').spec;
    const names = metrics.flatMap((metric: { pods?: { metric: { name: string } } }) => metric.pods?.metric.name ?? []);
    assert.deepEqual(names, ['passkey_http_requests_in_flight']);
    assert.ok(read('src/telemetry/metrics.ts').includes(`'${String(names[0])}'`));
  });

  await it('carries the alerts and the dashboards of deploy/monitoring, and links alerts to the runbook', async () => {
    // Helm reads no file outside its chart.
    if (process.env['UPDATE_MANIFESTS']) {
      cpSync('deploy/monitoring/alerts.yml', `${FILES}/alerts.yml`);
      cpSync('deploy/monitoring/grafana', `${FILES}/dashboards`, { recursive: true });
    }
    const manifests = await helm.template(VALUE_SETS['everything']!);
    const base = 'https://git.bank.example/passkey-manager/docs/';
    const alerts = read('deploy/monitoring/alerts.yml').replaceAll('runbook_url: docs/', `runbook_url: ${base}`);
    assert.deepEqual(find(manifests, 'PrometheusRule').spec, parse(alerts));
    const { data } = find(manifests, 'ConfigMap', 'passkey-manager-dashboards') as unknown as { data: object };
    assert.deepEqual(Object.keys(data), ['auditor.json', 'operator.json']);
    for (const [name, text] of Object.entries(data)) assert.equal(text, read(`deploy/monitoring/grafana/${name}`));
  });

  await it('gives the job of Prometheus the name that alerts ask for', async () => {
    const { jobLabel, selector } = find(await helm.template(VALUE_SETS['everything']!), 'ServiceMonitor').spec;
    assert.equal(selector.matchLabels[jobLabel], 'passkey-manager');
    assert.match(read('deploy/monitoring/alerts.yml'), /job="passkey-manager"/);
  });

  await it('describes every value in its README, and no other', () => {
    const [, table = ''] = read('deploy/helm/passkey-manager/README.md').split('\n## Values\n');
    const rows = [...table.matchAll(/^\| `([\w.]+)` /gm)].map(([, it]) => it);
    const values = parse(read('deploy/helm/passkey-manager/values.yaml')) as object;
    assert.deepEqual(rows, listLeaves(values));
  });
});

await describe('deploy/kubernetes', async () => {
  const helm = await Helm.open('4.1.4');
  const values = parse(read('deploy/kubernetes/values.yaml')) as object;

  for (const [file, options] of [
    ['1-migrate.yaml', ['--show-only', 'templates/migrate.yaml']],
    ['2-passkey-manager.yaml', ['--no-hooks']],
  ] as const) {
    await it(`${file} is what the chart renders`, async () => {
      const path = `deploy/kubernetes/${file}`;
      const rendered = toPlainManifests(await helm.render(values, ...options));
      if (process.env['UPDATE_MANIFESTS']) writeFileSync(path, rendered);
      assert.equal(read(path), rendered);
      assert.deepEqual(await findMistakes(parseManifests(rendered)), []);
    });
  }
});

/** The names of values in their order, joined by dots. An empty object is a value. */
function listLeaves(values: object, prefix = ''): string[] {
  return Object.entries(values).flatMap(([key, value]: [string, unknown]) => {
    const isGroup =
      value !== null && typeof value === 'object' && !Array.isArray(value) && Object.keys(value).length > 0;
    return isGroup && key !== 'resources' ? listLeaves(value, `${prefix}${key}.`) : [`${prefix}${key}`];
  });
}

/** Takes out what only Helm reads. */
function toPlainManifests(rendered: string): string {
  const plain = rendered
    .replaceAll(/^# Source: .*\n/gm, '')
    .replaceAll(/^ {2}annotations:\n(?: {4}helm\.sh\/.*\n)+/gm, '')
    .replaceAll(/^ *(?:helm\.sh\/.*|app\.kubernetes\.io\/managed-by: .*)\n/gm, '');
  return `# Rendered from deploy/helm/passkey-manager: UPDATE_MANIFESTS=1 npm run test:deploy\n${plain}`;
}
