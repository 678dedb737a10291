import { beforeEach, describe, expect, it } from '@jest/globals';
import { Reflector } from '@nestjs/core';
import { ExecutionContextHost } from '@nestjs/core/helpers/execution-context-host.js';
import type { FastifyRequest } from 'fastify';
import { AUTH_SERVICE } from '../../test/support/callers.js';
import { FakeAccess } from '../../test/support/fake-access.js';
import { getContext } from '../http/request-context.js';
import { PermissionGuard } from './permission.guard.js';
import { Requires } from './permissions.js';

class Routes {
  @Requires('passkeys:read')
  declared(): void {
    return;
  }

  undeclared(): void {
    return;
  }
}

let access: FakeAccess;
let request: FastifyRequest;
beforeEach(() => {
  access = new FakeAccess();
  request = { id: 'id-1', method: 'GET', routeOptions: {}, raw: { socket: {} } } as FastifyRequest;
});

function enter(route: keyof Routes): Promise<true> {
  const execution = new ExecutionContextHost([request], Routes, Routes.prototype[route]);
  return new PermissionGuard(new Reflector(), access.service).canActivate(execution);
}

describe('a route', () => {
  it('is open to a caller that has its permission', async () => {
    const context = Object.assign(getContext(request), { caller: AUTH_SERVICE });
    await expect(enter('declared')).resolves.toBe(true);
    expect(access.demanded).toEqual([[context, 'passkeys:read']]);
    expect(access.demanded[0]![0]).toBe(context);
  });

  it('is closed to a caller that lacks it', async () => {
    Object.assign(getContext(request), { caller: AUTH_SERVICE });
    access.refusal = new Error('denied');
    await expect(enter('declared')).rejects.toBe(access.refusal);
  });

  it('is closed to a request without a caller', async () => {
    await expect(enter('declared')).rejects.toMatchObject({ slug: 'permission-denied' });
    expect(access.demanded).toEqual([]);
  });

  it('is closed when it declares no permission', async () => {
    Object.assign(getContext(request), { caller: AUTH_SERVICE });
    await expect(enter('undeclared')).rejects.toMatchObject({ slug: 'permission-denied' });
    expect(access.demanded).toEqual([]);
  });
});
