import { beforeEach, describe, expect, it } from '@jest/globals';
import type { ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { AUTH_SERVICE } from '../../test/support/callers.js';
import { getContext, type RequestContext } from '../http/request-context.js';
import type { AccessService } from './access.service.js';
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

let demanded: [RequestContext, string][];
let refusal: Error | undefined;
let request: object;
beforeEach(() => {
  demanded = [];
  refusal = undefined;
  request = { id: 'id-1', method: 'GET', routeOptions: {}, raw: { socket: {} } };
});

function enter(route: keyof Routes): Promise<true> {
  const access = {
    authorize: (context: RequestContext, permission: string) => {
      demanded.push([context, permission]);
      return refusal ? Promise.reject(refusal) : Promise.resolve();
    },
  } as unknown as AccessService;
  return new PermissionGuard(new Reflector(), access).canActivate({
    getHandler: () => Routes.prototype[route],
    switchToHttp: () => ({ getRequest: () => request }),
  } as unknown as ExecutionContext);
}

describe('a route', () => {
  it('is open to a caller that has its permission', async () => {
    const context = Object.assign(getContext(request as never), { caller: AUTH_SERVICE });
    await expect(enter('declared')).resolves.toBe(true);
    expect(demanded).toEqual([[context, 'passkeys:read']]);
    expect(demanded[0]![0]).toBe(context);
  });

  it('is closed to a caller that lacks it', async () => {
    Object.assign(getContext(request as never), { caller: AUTH_SERVICE });
    refusal = new Error('denied');
    await expect(enter('declared')).rejects.toBe(refusal);
  });

  it('is closed to a request without a caller', async () => {
    await expect(enter('declared')).rejects.toMatchObject({ slug: 'permission-denied' });
    expect(demanded).toEqual([]);
  });

  it('is closed when it declares no permission', async () => {
    Object.assign(getContext(request as never), { caller: AUTH_SERVICE });
    await expect(enter('undeclared')).rejects.toMatchObject({ slug: 'permission-denied' });
    expect(demanded).toEqual([]);
  });
});
