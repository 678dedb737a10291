import { Reflector } from '@nestjs/core';

/** Everything that a caller can be granted. */
export const PERMISSIONS = [
  'passkeys:register',
  'passkeys:authenticate',
  'passkeys:confirm',
  'payments:confirm',
  'passkeys:read',
  'passkeys:manage',
  'passkeys:erase',
  'passkeys:export',
  'passkeys:import',
  'relying-parties:read',
  'relying-parties:write',
  'audit:read',
  'audit:export',
  'statistics:read',
  'approvals:decide',
  'events:manage',
  'events:receive',
] as const;

export type Permission = (typeof PERMISSIONS)[number];

/**
 * What the access policy can make subject to the approval of a second identity: the use of permissions, and what an operator
 * does by `npm run keys`, for which the policy grants nothing.
 */
export const APPROVABLE = ['passkeys:erase', 'relying-parties:write', 'seal-keys:force-retire'] as const;

export type ApprovablePermission = (typeof APPROVABLE)[number];

/** Declares the permission that a route demands; `any` admits every identity that the policy names. */
export const Requires = Reflector.createDecorator<Permission | 'any'>();
