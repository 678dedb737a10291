import { Reflector } from '@nestjs/core';

/** Everything that a caller can be granted. */
export const PERMISSIONS = [
  'passkeys:register',
  'passkeys:authenticate',
  'passkeys:read',
  'passkeys:manage',
  'passkeys:erase',
  'relying-parties:read',
  'relying-parties:write',
  'audit:read',
  'audit:export',
] as const;

export type Permission = (typeof PERMISSIONS)[number];

/** Declares the permission that a route demands; `any` admits every identity that the policy names. */
export const Requires = Reflector.createDecorator<Permission | 'any'>();
