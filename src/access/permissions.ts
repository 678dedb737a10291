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
  'approvals:decide',
] as const;

export type Permission = (typeof PERMISSIONS)[number];

/** The permissions whose use the access policy can make subject to the approval of a second identity. */
export const APPROVABLE = ['passkeys:erase', 'relying-parties:write'] as const satisfies readonly Permission[];

export type ApprovablePermission = (typeof APPROVABLE)[number];

/** Declares the permission that a route demands; `any` admits every identity that the policy names. */
export const Requires = Reflector.createDecorator<Permission | 'any'>();
