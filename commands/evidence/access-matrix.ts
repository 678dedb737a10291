import type { AccessPolicy, Grant } from '../../src/access/access-policy.js';
import { type Permission, PERMISSIONS } from '../../src/access/permissions.js';
import type { VerifiedLog } from './audit-log.js';
import { countDays, formatTable, type Part, type Sources } from './part.js';

/** Permissions whose every use is a read that the log does not record, so nobody can say when they were used last. */
export const UNRECORDED_PERMISSIONS: ReadonlySet<Permission> = new Set([
  'passkeys:read',
  'relying-parties:read',
  'statistics:read',
  'events:receive',
]);

/** Permissions that one identity should not hold together (PCI DSS 4.0.1 7.2.2: separate duties). */
const APART: readonly (readonly [one: RegExp, other: RegExp, why: string])[] = [
  [/^audit:/, /^(?:passkeys:(?!read)|payments:|relying-parties:write|approvals:)/, 'reads the log of its own changes'],
  [/^approvals:decide$/, /^(?:relying-parties:write|passkeys:erase)$/, 'may ask for what it may approve'],
];

/** Days after which an unused right is worth a question (7.2.4 asks for a review every six months). */
const UNUSED_DAYS = 90;

interface Cell {
  readonly permission: string;
  readonly granted: boolean;
  /** False: its uses are reads that the log does not record. */
  readonly recorded: boolean;
  readonly used: number;
  readonly lastUsed: string | null;
  readonly refused: number;
  readonly lastRefused: string | null;
}

interface Row {
  readonly identity: string;
  readonly inPolicy: boolean;
  readonly relyingParties: readonly string[] | 'all' | null;
  readonly receiptAudiences: readonly string[];
  readonly requestsPerSecond: number | null;
  readonly notAfter: string | null;
  readonly lastSeen: string | null;
  readonly permissions: readonly Cell[];
}

/** Makes the matrix of identities and permissions, with the last use of each as the verified log has it. */
export function makeAccessMatrix({ policy, now }: Sources, log: VerifiedLog): Part {
  const rows = policy ? listRows(policy, log) : [];
  const from = log.proved?.span?.[0];
  const content = {
    policy: policy
      ? { sha256: policy.digest, trustDomain: policy.trustDomain, deniedEntries: policy.deny.length }
      : null,
    approvals: policy?.approvals
      ? { permissions: [...policy.approvals.permissions].sort(), ttlSeconds: policy.approvals.ttlSeconds }
      : null,
    usesFrom: from?.toISOString() ?? null,
    usesTo: log.proved?.span?.[1].toISOString() ?? null,
    identities: rows,
  };
  return {
    file: 'access-matrix.json',
    title: 'Access matrix: identity × permission × last used (7.2.4, 7.2.5.1, 8.6)',
    content,
    summary: [
      policy
        ? `Everything that the access policy does not grant is denied. Uses are those in the verified log, from ${content.usesFrom ?? 'the beginning'} on; “not recorded” are reads that leave no event.`
        : 'The access policy cannot be read.',
      '',
      ...formatTable(['identity', 'permission', 'granted', 'last used', 'uses', 'refusals'], rows.flatMap(formatRow)),
    ],
    open: policy ? [...listOpen(rows, policy, now), ...listUnused(rows, from, now)] : [],
    faults: policy ? [] : ['The access policy cannot be read.'],
  };
}

function listRows(policy: AccessPolicy, { tally }: VerifiedLog): Row[] {
  const identities = new Set([...policy.grants.keys(), ...tally.seen.keys()]);
  return [...identities].sort().map((identity) => {
    const grant = policy.grants.get(identity);
    const seen = tally.seen.get(identity);
    const names = new Set<string>([...(grant?.permissions ?? []), ...tally.listPermissions(identity)]);
    const permissions = [...PERMISSIONS, ...names].filter(
      (name, at, all) => names.has(name) && all.indexOf(name) === at,
    );
    return {
      identity,
      inPolicy: grant !== undefined,
      ...describeLimits(grant),
      lastSeen: toTime(seen),
      permissions: permissions.map((permission) => {
        const uses = tally.findUses(identity, permission);
        return {
          permission,
          granted: grant?.permissions.has(permission as Permission) ?? false,
          recorded: !UNRECORDED_PERMISSIONS.has(permission as Permission),
          used: uses?.used ?? 0,
          lastUsed: toTime(uses?.last),
          refused: uses?.refused ?? 0,
          lastRefused: toTime(uses?.lastRefused),
        };
      }),
    };
  });
}

function describeLimits(
  grant: Grant | undefined,
): Pick<Row, 'relyingParties' | 'receiptAudiences' | 'requestsPerSecond' | 'notAfter'> {
  return {
    relyingParties: grant ? (grant.relyingParties ?? 'all') : null,
    receiptAudiences: grant?.receiptAudiences ?? [],
    requestsPerSecond: grant?.requestsPerSecond ?? null,
    notAfter: grant?.notAfter?.toISOString() ?? null,
  };
}

const toTime = (time: number | undefined): string | null => (time ? new Date(time).toISOString() : null);

function formatRow({ identity, permissions }: Row): string[][] {
  return permissions.map(({ permission, granted, recorded, lastUsed, used, refused }) => [
    identity,
    permission,
    granted ? 'yes' : 'no',
    lastUsed ?? (recorded ? 'never' : 'not recorded'),
    recorded ? String(used) : '',
    String(refused),
  ]);
}

function listOpen(rows: readonly Row[], policy: AccessPolicy, now: Date): string[] {
  const open: string[] = [];
  for (const { identity, inPolicy, permissions, notAfter, relyingParties } of rows) {
    if (!inPolicy) {
      open.push(
        `${identity} is in the log and not in the access policy: say when and why it was removed, or what called.`,
      );
      continue;
    }
    const granted = permissions.filter((cell) => cell.granted).map(({ permission }) => permission);
    for (const [one, other, why] of APART) {
      const [has, also] = [granted.filter((name) => one.test(name)), granted.filter((name) => other.test(name))];
      if (has.length > 0 && also.length > 0)
        open.push(`${identity} has ${has.join(', ')} together with ${also.join(', ')}: it ${why} (7.2.2).`);
    }
    if (notAfter !== null && new Date(notAfter) <= now)
      open.push(`The grant of ${identity} ended at ${notAfter}: remove it.`);
    if (relyingParties === 'all' && granted.some((name) => /^(?:passkeys|payments):/.test(name)))
      open.push(`${identity} may act for every relying party: limit it by relyingParties, or say why not (7.2.1).`);
  }
  const unlimited = rows.filter(({ inPolicy, requestsPerSecond }) => inPolicy && requestsPerSecond === null);
  if (unlimited.length > 0)
    open.push(`These have no limit of requests: ${unlimited.map(({ identity }) => identity).join(', ')}.`);
  if (!policy.approvals) open.push('No change needs the approval of a second identity.');
  return open;
}

function listUnused(rows: readonly Row[], from: Date | undefined, now: Date): string[] {
  if (!from || countDays(from, now) < UNUSED_DAYS) {
    const since = from?.toISOString() ?? 'no time';
    return [
      `The log reaches back to ${since}, so nothing can be said about rights that are unused for ${String(UNUSED_DAYS)} days.`,
    ];
  }
  const oldest = now.getTime() - UNUSED_DAYS * 86_400_000;
  return rows.flatMap(({ identity, permissions }) => {
    const unused = permissions
      .filter(({ granted, recorded, lastUsed }) => granted && recorded && Date.parse(lastUsed ?? '1970-01-01') < oldest)
      .map(({ permission }) => permission);
    if (unused.length === 0) return [];
    return [
      `${identity} has not used ${unused.join(', ')} for ${String(UNUSED_DAYS)} days: remove it, or say why it stays (7.2.4).`,
    ];
  });
}
