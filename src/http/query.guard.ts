import type { CanActivate, ExecutionContext } from '@nestjs/common';
import { ROUTE_ARGS_METADATA } from '@nestjs/common/constants.js';
import { RouteParamtypes } from '@nestjs/common/enums/route-paramtypes.enum.js';
import type { FastifyRequest } from 'fastify';
import { appendPointer, Problem } from './problem.js';

/**
 * Refuses the query parameters of a route that takes none. If a route takes some, its class validates them, and this
 * guard refuses only inherited names such as `constructor`, because class-transformer drops them before validation.
 */
export class QueryGuard implements CanActivate {
  /** @throws Problem request-malformed */
  canActivate(execution: ExecutionContext): true {
    const names = Object.keys(execution.switchToHttp().getRequest<FastifyRequest>().query as object);
    if (names.length === 0) return true;
    const unknown = hasQueryParameter(execution) ? names.filter((name) => name in Object.prototype) : names;
    if (unknown.length === 0) return true;
    const detail = 'is not a parameter of the contract';
    const invalid = unknown.map((name) => ({ pointer: appendPointer('', name), detail }));
    throw new Problem('request-malformed', { invalid });
  }
}

function hasQueryParameter(execution: ExecutionContext): boolean {
  const route = execution.getHandler().name;
  const parameters = (Reflect.getMetadata(ROUTE_ARGS_METADATA, execution.getClass(), route) ?? {}) as object;
  return Object.keys(parameters).some((key) => key.startsWith(`${String(RouteParamtypes.QUERY)}:`));
}
