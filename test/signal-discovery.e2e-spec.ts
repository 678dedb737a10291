import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { makeProblem } from './support/bodies.js';
import { requireStatus } from './support/ceremonies.js';
import type { Answer } from './support/client.js';
import { TestService } from './support/service.js';

const ISSUER = 'https://passkeys.bank.example:8443';
const CONFIGURATION = '/.well-known/ssf-configuration';

type Metadata = Record<string, unknown>;

let service: TestService;
beforeAll(async () => {
  service = await TestService.start({ env: { PASSKEY_SIGNAL_ISSUER: ISSUER } });
});
afterAll(() => service.stop());

const get = <Body>(path: string, headers?: Record<string, string>): Promise<Answer<Body>> =>
  service.client.call<Body>('auth-service', 'GET', path, undefined, headers);

describe('SSF 1.0 §7.1 Transmitter Configuration Metadata', () => {
  it('names the version, the issuer, the delivery methods and the authorization by mutual TLS', async () => {
    expect(requireStatus(await get<Metadata>(CONFIGURATION), 200)).toMatchObject({
      spec_version: '1_0',
      issuer: ISSUER,
      delivery_methods_supported: ['urn:ietf:rfc:8936'],
      authorization_schemes: [{ spec_urn: 'urn:ietf:rfc:8705' }],
      default_subjects: 'ALL',
    });
  });

  it('has only https URLs of the issuer, and each is a route of the service', async () => {
    const metadata = requireStatus(await get<Metadata>(CONFIGURATION), 200);
    const urls = Object.entries(metadata).filter(([name]) => /_(endpoint|uri)$/.test(name));
    expect(urls.map(([name]) => name).sort()).toEqual([
      'add_subject_endpoint',
      'configuration_endpoint',
      'jwks_uri',
      'remove_subject_endpoint',
      'status_endpoint',
      'verification_endpoint',
    ]);
    for (const [name, url] of urls) {
      const { origin, pathname } = new URL(url as string);
      expect(origin).toBe(ISSUER);
      const [method, body] = name === 'jwks_uri' ? ['GET', undefined] : ['POST', { stream_id: 1 }];
      expect((await service.client.call('auth-service', method, pathname, body)).status).not.toBe(404);
    }
  });
});

describe('SSF 1.0 §7.2 Obtaining Transmitter Configuration Metadata', () => {
  it('answers GET at the well-known path of the issuer with application/json', async () => {
    const answer = await get(CONFIGURATION);
    expect(answer.status).toBe(200);
    expect(answer.headers['content-type']).toBe('application/json; charset=utf-8');
  });

  it('has nothing at the location of RISC (§7.2.2)', async () => {
    expect(await get('/.well-known/risc-configuration')).toMatchObject(makeProblem(404, 'not-found'));
  });

  it('omits members without a value', async () => {
    const metadata = requireStatus(await get<Metadata>(CONFIGURATION), 200);
    for (const value of Object.values(metadata)) expect(value).not.toEqual([]);
  });
});

describe('the keys of signals', () => {
  it('are a JWK set that may be kept for five minutes', async () => {
    const answer = await get<{ keys: Record<string, string>[] }>('/v1/signals/jwks');
    expect(answer).toMatchObject({
      status: 200,
      headers: { 'content-type': 'application/jwk-set+json; charset=utf-8', 'cache-control': 'public, max-age=300' },
    });
    const [key, ...others] = answer.body.keys;
    expect([key, others]).toMatchObject([{ kty: 'RSA', alg: 'RS256', use: 'sig', e: 'AQAB' }, []]);
    expect(Buffer.from(key!['n']!, 'base64url')).toHaveLength(256);
  });

  it('are not sent again to a caller that has them', async () => {
    const { etag } = (await get('/v1/signals/jwks')).headers;
    expect(await get('/v1/signals/jwks', { 'if-none-match': etag! })).toMatchObject({ status: 304, body: undefined });
  });
});

describe('a service without PASSKEY_SIGNAL_KEY_FILE', () => {
  it('says that signals are not configured', async () => {
    const without = await TestService.start({ config: { signals: undefined } });
    try {
      for (const path of [CONFIGURATION, '/v1/signals/jwks'])
        expect(await without.client.call('operator', 'GET', path)).toMatchObject(
          makeProblem(404, 'signals-not-configured'),
        );
    } finally {
      await without.stop();
    }
  });
});
