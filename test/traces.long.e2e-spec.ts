import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { globSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { prepareDevelopment } from '../dev/prepare-development.js';
import { findFreePort } from '../dev/embedded-postgres/postmaster.js';
import { Authenticator } from './support/authenticator/authenticator.js';
import { requireStatus } from './support/ceremonies.js';
import { createTestDatabase, type TestDatabase } from './support/database.js';
import { ServiceProcess } from './support/service-process.js';
import { type CollectedSpan, TraceCollector } from './support/trace-collector.js';
import { until } from './support/until.js';

const AUTH_SERVICE = 'spiffe://passkey-manager.local/auth-service';
const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = 'b7ad6b7169203331';
const SAMPLED = `00-${TRACE}-${PARENT}-01`;

let dataDir: string;
let database: TestDatabase;
let collector: TraceCollector;
let service: ServiceProcess;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'passkey-manager-'));
  [database] = await Promise.all([createTestDatabase(), prepareDevelopment(dataDir)]);
});
beforeEach(async () => {
  collector = await TraceCollector.start();
});
afterEach(async () => {
  await service.stop();
  await collector.stop();
});
afterAll(async () => {
  await database.drop();
  await rm(dataDir, { recursive: true, force: true });
});

async function start(env: NodeJS.ProcessEnv = {}): Promise<void> {
  service = await ServiceProcess.start(dataDir, database.url, {
    PASSKEY_LOG_LEVEL: 'info',
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_BSP_SCHEDULE_DELAY: '50',
    ...env,
  });
}

const list = (headers = {}): ReturnType<ServiceProcess['client']['call']> =>
  service.client.call('auth-service', 'GET', '/v1/credentials?userId=traced-user-1', undefined, headers);

const untilSpan = (fits: (span: CollectedSpan) => boolean): Promise<CollectedSpan> =>
  until(() => collector.spans.find(fits));

const isRequest = ({ kind }: CollectedSpan): boolean => kind === 2;

describe('a traced service', () => {
  it('sends the tree of a registration and a sign-in, and nothing that identifies a user or a passkey', async () => {
    await start({ OTEL_SERVICE_NAME: 'passkeys-blue', OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=trial' });
    const { ceremonies } = service;
    const authenticator = new Authenticator();
    const userId = 'traced-user-1';
    const credential = await ceremonies.registered(userId, authenticator);
    const challenge = requireStatus(await ceremonies.requestAuthentication({ userId }), 201);
    const response = authenticator.get(challenge.publicKey, ceremonies.origin);
    requireStatus(await ceremonies.answerAuthentication(challenge.challengeId, response), 200);
    await service.client.call('auth-service', 'GET', `/v1/credentials/${credential.id}`);
    await list();
    await service.stop();

    const [registration, signIn] = ['POST /v1/credentials', 'POST /v1/credentials/verify'].map((name) =>
      collector.spans.find((span) => span.name === name),
    );
    expect(collector.listTree(registration!.traceId)).toEqual([
      'POST /v1/credentials > verify a registration',
      'caller > POST /v1/credentials',
      'verify a registration > registration-accept',
    ]);
    expect(collector.listTree(signIn!.traceId)).toEqual([
      'POST /v1/credentials/verify > verify an authentication',
      'caller > POST /v1/credentials/verify',
      'verify an authentication > answer-load',
      'verify an authentication > authentication-accept',
    ]);
    expect(signIn).toMatchObject({
      kind: 2,
      parentSpanId: '',
      status: 0,
      attributes: {
        'http.request.method': 'POST',
        'http.route': '/v1/credentials/verify',
        'http.response.status_code': 200,
        'passkey.outcome': 'success',
        'passkey.caller': AUTH_SERVICE,
        'passkey.permission': 'passkeys:authenticate',
        'passkey.decision': 'allowed',
      },
      resource: { 'service.name': 'passkeys-blue', 'deployment.environment.name': 'trial' },
    });
    const accepted = collector.spans.find(({ name }) => name === 'authentication-accept');
    expect(accepted?.attributes).toEqual({
      'db.system.name': 'postgresql',
      'db.operation.batch.size': 1,
      'passkey.outcome': 'success',
    });
    const verified = collector.spans.find(({ name }) => name === 'verify an authentication');
    expect(verified?.events).toEqual([
      {
        name: 'event recorded',
        attributes: { 'passkey.event': 'credential.verify', 'passkey.event.outcome': 'success' },
      },
    ]);

    const routes = collector.spans.filter(isRequest).map(({ name }) => name);
    expect(routes).toContain('GET /v1/credentials/:id');
    const secrets = [userId, credential.id, credential.credentialId, challenge.challengeId, response.id, 'userId='];
    expect(secrets.filter((secret) => collector.text.includes(secret))).toEqual([]);
  });

  it('names the reason of a refusal, the problem of the request and the event that was recorded', async () => {
    await start();
    const { ceremonies } = service;
    const { challengeId, publicKey } = requireStatus(await ceremonies.requestRegistration('traced-user-2'), 201);
    const response = new Authenticator().create(publicKey, 'https://phishing.example');
    requireStatus(await ceremonies.answerRegistration(challengeId, response), 422);
    const request = await untilSpan(({ name }) => name === 'POST /v1/credentials');
    const verification = await untilSpan(({ name }) => name === 'verify a registration');
    expect(request).toMatchObject({ status: 0, attributes: { 'passkey.outcome': 'failure' } });
    expect(verification).toMatchObject({
      status: 0,
      attributes: { 'passkey.outcome': 'failure', 'error.type': 'origin-mismatch' },
      events: [{ name: 'event recorded', attributes: { 'passkey.event.outcome': 'failure' } }],
    });
    expect(collector.text).not.toContain('phishing.example');
  });

  it('records a denial as a span of its own, and the decision at the request', async () => {
    await start();
    requireStatus(await service.client.call('stranger', 'GET', '/v1/credentials'), 403);
    const record = await untilSpan(({ name }) => name === 'record an event');
    const request = await untilSpan(isRequest);
    expect(record).toMatchObject({ parentSpanId: request.spanId, attributes: { 'passkey.outcome': 'success' } });
    expect(request.attributes).toMatchObject({ 'passkey.decision': 'denied', 'http.response.status_code': 403 });
  });

  it('continues the trace of its caller, without its tracestate, and names the span in the log', async () => {
    await start();
    await list({ traceparent: SAMPLED, tracestate: 'vendor=traced-user-3' });
    const span = await untilSpan(isRequest);
    expect(span).toMatchObject({ traceId: TRACE, parentSpanId: PARENT });
    expect(collector.text).not.toContain('vendor=');
    await until(() => service.lastWords.includes(TRACE) && service.lastWords.includes(span.spanId));
  });

  it.each([
    ['of version ff', `ff-${TRACE}-${PARENT}-01`],
    ['without a trace id', `00-${'0'.repeat(32)}-${PARENT}-01`],
    ['without a span id', `00-${TRACE}-${'0'.repeat(16)}-01`],
    ['in upper case', SAMPLED.toUpperCase()],
    ['that is longer than its version allows', `${SAMPLED}-01`],
    ['that is cut', SAMPLED.slice(0, -1)],
    ['that is given twice', [SAMPLED, SAMPLED]],
    ['that is empty', ''],
    ['of one letter, 8,000 times', 'a'.repeat(8_000)],
  ])('ignores a traceparent %s', async (_, traceparent) => {
    await start();
    requireStatus(await list({ traceparent }), 200);
    const span = await untilSpan(isRequest);
    expect(span.traceId).not.toBe(TRACE);
    expect(span.parentSpanId).toBe('');
  });

  it('follows the sampler: a request that is not in the sample sends nothing', async () => {
    await start({ OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '0' });
    await list();
    await list({ traceparent: `00-${TRACE}-${PARENT}-00` });
    await list({ traceparent: SAMPLED });
    await service.stop();
    expect(collector.spans.filter(isRequest).map(({ traceId }) => traceId)).toEqual([TRACE]);
  });

  it('traces in every worker, and each sends its last spans when it stops', async () => {
    await start({ PASSKEY_WORKERS: '2', OTEL_BSP_SCHEDULE_DELAY: '60000' });
    for (let call = 0; call < 4; call += 1) {
      await list();
      service.client.close();
    }
    await service.stop();
    const workers = collector.spans.filter(isRequest).map(({ resource }) => resource['passkey.worker']);
    expect(workers.toSorted()).toEqual([1, 1, 2, 2]);
  });
});

describe('a request that is refused before its caller is accepted', () => {
  it('begins and continues no trace', async () => {
    await start();
    requireStatus(await list({ traceparent: SAMPLED, 'client-cert': 'x' }), 400);
    await service.stop();
    expect(collector.requests).toBe(0);
  });
});

describe('a service whose collector', () => {
  let silent: Server | undefined;
  afterEach(() => {
    silent?.close();
    silent = undefined;
  });

  it('is away answers as ever, warns once, and stops', async () => {
    await start({
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${String(await findFreePort())}`,
      OTEL_EXPORTER_OTLP_TIMEOUT: '200',
    });
    await until(async () => {
      requireStatus(await list(), 200);
      return service.lastWords.includes('spans are lost');
    });
    requireStatus(await list(), 200);
    await service.stop();
    expect(await service.ended).toBe(0);
    expect(service.lastWords.split('spans are lost')).toHaveLength(2);
  });

  it('accepts connections and never answers delays no answer, and the stop only for a moment', async () => {
    silent = createServer(() => undefined).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as { port: number };
    await start({ OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${String(port)}` });
    for (let call = 0; call < 20; call += 1) requireStatus(await list(), 200);
    await service.stop();
    expect(await service.ended).toBe(0);
  });

  it('refuses the spans answers as ever', async () => {
    collector.status = 400;
    await start();
    requireStatus(await list(), 200);
    await until(() => service.lastWords.includes('spans are lost'));
    requireStatus(await list(), 200);
  });
});

describe('without a collector', () => {
  it('no package of OpenTelemetry is loaded: only startTracing imports any, when it is called', () => {
    const files = globSync('dist/{src,dev,commands}/**/*.js');
    expect(files.length).toBeGreaterThan(100);
    const importing = files.filter((file) => readFileSync(file, 'utf8').includes("'@opentelemetry/"));
    expect(importing.map((file) => basename(file))).toEqual(['tracing.js']);
    expect(readFileSync(importing[0]!, 'utf8')).not.toContain("from '@opentelemetry/");
  });

  it.each([
    ['no setting', { OTEL_EXPORTER_OTLP_ENDPOINT: '' }],
    ['OTEL_SDK_DISABLED', { OTEL_SDK_DISABLED: 'true' }],
    ['OTEL_TRACES_EXPORTER=none', { OTEL_TRACES_EXPORTER: 'none' }],
  ])('nothing is traced or sent, and a traceparent changes nothing: %s', async (_, env) => {
    await start(env);
    requireStatus(await list({ traceparent: SAMPLED }), 200);
    await service.stop();
    expect(collector.requests).toBe(0);
    expect(service.lastWords).not.toContain(TRACE);
  });
});
