import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { FastifyRequest } from 'fastify';
import { getContext } from '../http/request-context.js';
import { Problem } from '../http/problem.js';
import { AccessService } from './access.service.js';
import { type Permission, Requires } from './permissions.js';

/** Enforces least privilege: a route without @Requires is closed. It runs after CallerGuard. */
@Injectable()
export class PermissionGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly access: AccessService,
  ) {}

  async canActivate(execution: ExecutionContext): Promise<true> {
    const context = getContext(execution.switchToHttp().getRequest<FastifyRequest>());
    const permission = this.reflector.get(Requires, execution.getHandler()) as Permission | 'any' | undefined;
    const { caller } = context;
    if (!permission || !caller) throw new Problem('permission-denied');
    await this.access.authorize(Object.assign(context, { caller }), permission);
    return true;
  }
}
