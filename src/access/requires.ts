import { Reflector } from '@nestjs/core';
import type { Permission } from './permissions.js';

/** Declares the permission that a route demands; `any` admits every identity that the policy names. */
export const Requires = Reflector.createDecorator<Permission | 'any'>();
