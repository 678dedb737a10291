import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { problem } from './support/bodies.js';
import { TestService } from './support/service.js';

let service: TestService;
beforeAll(async () => {
  service = await TestService.start();
});
afterAll(() => service.stop());

const management = async (path: string): Promise<{ status: number; type: string | null; text: string }> => {
  const response = await fetch(`${service.running.managementUrl}${path}`);
  return { status: response.status, type: response.headers.get('content-type'), text: await response.text() };
};

describe('the management listener', () => {
  it.each(['/health/live', '/health/ready'])('GET %s says ok', async (path) => {
    const { status, text } = await management(path);
    expect([status, JSON.parse(text)]).toMatchObject([200, { status: 'ok' }]);
  });

  it('names what readiness depends on', async () => {
    const { text } = await management('/health/ready');
    expect(JSON.parse(text)).toMatchObject({ details: { database: { status: 'up' } } });
  });

  it('is bound to this machine', () => {
    expect(new URL(service.running.managementUrl).hostname).toBe('127.0.0.1');
  });

  it('gives metrics to Prometheus', async () => {
    const { status, type, text } = await management('/metrics');
    expect([status, type]).toEqual([200, expect.stringContaining('text/plain')]);
    expect(text).toMatch(/^# TYPE /m);
  });

  it.each(['/v1/credentials', '/v1/relying-parties', '/openapi.json', '/'])('has no %s', async (path) => {
    expect((await management(path)).status).toBe(404);
  });
});

describe('the mutual TLS listener', () => {
  it.each(['/health/live', '/health/ready', '/metrics'])('has no %s', async (path) => {
    expect(await service.client.call('operator', 'GET', path)).toMatchObject(problem(404, 'not-found'));
  });
});
