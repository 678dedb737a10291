import { APPROVALS } from './approvals.js';
import { AUDIT } from './audit.js';
import type { Command } from './command.js';
import { CREDENTIALS } from './credentials.js';
import { KEYS } from './keys.js';
import { POLICY } from './policy.js';
import { STATISTICS } from './statistics.js';
import { USERS } from './users.js';
import { WHOAMI } from './whoami.js';

/** Every sub-command, except `completion`, which is made from them. */
export const COMMANDS: readonly Command[] = [
  ...WHOAMI,
  ...USERS,
  ...CREDENTIALS,
  ...POLICY,
  ...APPROVALS,
  ...AUDIT,
  ...KEYS,
  ...STATISTICS,
];
