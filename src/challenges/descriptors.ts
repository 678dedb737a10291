import { MAX_CREDENTIALS_PER_USER } from '../relying-parties/relying-party-policy.js';

export interface Descriptor {
  /** Lower-case hexadecimal credential id. */
  readonly id: string;
  readonly transports: string[];
}

/** SQL: the order of a user's list. Decoys have it, too. */
export const LAST_USED_FIRST = `coalesce(last_used_at, created_at) DESC, id DESC`;

/**
 * SQL: the descriptors of the credentials that meet the condition, as a JSON array, the most recently used first, and
 * at most as many as a browser accepts. NULL: there are none.
 */
export function descriptorsSql(condition: string): string {
  return `(SELECT json_agg(json_build_object('id', encode(credential_id, 'hex'), 'transports', transports) ORDER BY ${LAST_USED_FIRST})
             FROM (SELECT * FROM credential WHERE ${condition} ORDER BY ${LAST_USED_FIRST} LIMIT ${String(MAX_CREDENTIALS_PER_USER)}) AS shown)`;
}
