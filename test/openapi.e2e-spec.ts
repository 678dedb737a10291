import { RequestMethod } from '@nestjs/common';
import { METHOD_METADATA, PATH_METADATA } from '@nestjs/common/constants.js';
import { DiscoveryService, MetadataScanner, Reflector } from '@nestjs/core';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Requires } from '../src/access/permissions.js';
import { PROBLEMS } from '../src/http/problem.js';
import { REASONS } from '../src/webauthn/refusal.js';
import { TestService } from './support/service.js';

let service: TestService;
beforeAll(async () => {
  service = await TestService.start();
});
afterAll(() => service.stop());

type Handler = (...parameters: unknown[]) => unknown;

/** Lists the routes that the application declares as `METHOD /path permission`. */
function declaredRoutes(): string[] {
  const { app } = service.running;
  const reflector = app.get(Reflector);
  const scanner = new MetadataScanner();
  return app
    .get(DiscoveryService, { strict: false })
    .getControllers()
    .flatMap((wrapper: { metatype: unknown }) => {
      const controller = wrapper.metatype as { prototype: Record<string, Handler> };
      const prefix = String(Reflect.getMetadata(PATH_METADATA, controller));
      return scanner.getAllMethodNames(controller.prototype).flatMap((name) => {
        const handler = controller.prototype[name] as Handler;
        if (!Reflect.hasMetadata(PATH_METADATA, handler)) return [];
        const method = RequestMethod[Reflect.getMetadata(METHOD_METADATA, handler) as number] ?? '';
        const path = [prefix, String(Reflect.getMetadata(PATH_METADATA, handler))].flatMap((part) => part.split('/'));
        const named = path.filter((part) => part !== '').map((part) => part.replace(/^:(.*)$/, '{$1}'));
        return [`${method} /${named.join('/')} ${reflector.get<string>(Requires, handler)}`];
      });
    })
    .sort();
}

const documentedRoutes = (): string[] =>
  service.contract.operations
    .map(({ method, path, document }) => `${method} ${path} ${String(document['x-permission'])}`)
    .sort();

describe('the published contract', () => {
  it('documents every route with the permission that it demands, and no other', () => {
    expect(documentedRoutes()).toEqual(declaredRoutes());
  });

  it('documents exactly the routes of the HTTP server', () => {
    const fastify = service.running.app.getHttpAdapter().getInstance();
    for (const { method, path } of service.contract.operations) {
      const url = path.replaceAll(/\{([^}]+)\}/g, ':$1');
      expect([method, url, fastify.hasRoute({ method: method, url })]).toEqual([method, url, true]);
    }
  });

  it.each(['auth-service', 'operator', 'auditor'])('is served to %s', async (identity) => {
    const answer = await service.client.call(identity, 'GET', '/openapi.json');
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual(service.contract.document);
  });

  it('names every problem and every reason', () => {
    const text = JSON.stringify(service.contract.document);
    for (const slug of Object.keys(PROBLEMS)) expect(text).toContain(`urn:passkey-manager:problem:${slug}`);
    for (const reason of REASONS) expect(text).toContain(`"${reason}"`);
  });

  it('has examples that its own schemas allow', () => {
    expect(service.contract.faultyExamples()).toEqual([]);
  });
});
