import type { CanActivate, ExecutionContext } from '@nestjs/common';
import { ROUTE_ARGS_METADATA } from '@nestjs/common/constants.js';
import { RouteParamtypes } from '@nestjs/common/enums/route-paramtypes.enum.js';
import type { FastifyRequest } from 'fastify';
import { Problem } from '../problems/problem.js';
import { pointerOf } from './json-pointer.js';

/** Refuses query parameters where a route takes none; those of a route that takes some are validated by its class. */
export class QueryGuard implements CanActivate {
  /** @throws Problem request-malformed */
  canActivate(execution: ExecutionContext): true {
    const names = Object.keys(execution.switchToHttp().getRequest<FastifyRequest>().query as object);
    if (names.length === 0 || takesQuery(execution)) return true;
    const detail = 'is not a parameter that the contract knows';
    throw new Problem('request-malformed', { invalid: names.map((name) => ({ pointer: pointerOf('', name), detail })) });
  }
}

function takesQuery(execution: ExecutionContext): boolean {
  const route = execution.getHandler().name;
  const parameters = (Reflect.getMetadata(ROUTE_ARGS_METADATA, execution.getClass(), route) ?? {}) as object;
  return Object.keys(parameters).some((key) => key.startsWith(`${String(RouteParamtypes.QUERY)}:`));
}
