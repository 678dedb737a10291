import { Reflector } from '@nestjs/core';
import type { Permission } from './permissions.js';

/** The permission that a route demands; `any`: an identity that the policy names, whatever its permissions. */
export const Requires = Reflector.createDecorator<Permission | 'any'>();
