import { describe, expect, it } from '@jest/globals';
import { parseAccessPolicy } from '../../src/access/access-policy.js';
import { Contract } from '../../test/support/contract.js';
import { UNRECORDED } from '../../test/support/every-route.js';
import { makeAccessMatrix, UNRECORDED_PERMISSIONS } from './access-matrix.js';
import { LogTally } from './log-tally.js';
import type { Part, Sources } from './part.js';

const NOW = new Date('2026-06-30T12:00:00Z');
const ID = 'spiffe://bank.example/';

/** An event of a request that was allowed, or of its refusal, as the log has it. */
function makeEvent(caller: string, permission: string, time: string, type = 'credential.verify'): object {
  return {
    actor: { app_uid: `${ID}${caller}` },
    metadata: { event_code: type },
    status: 'Success',
    time: Date.parse(time),
    unmapped: { permission },
  };
}

function makeMatrix(services: string, events: readonly object[], more = '', first = '2026-01-01T00:00:00Z'): Part {
  const policy = parseAccessPolicy(`version: 1\ntrustDomain: bank.example\nservices:\n${services}${more}`);
  const tally = new LogTally();
  for (const event of events) tally.add(event);
  const proved = { span: [new Date(first), NOW] as const, events: events.length, erased: 0 };
  const log = { tally, proved, fault: undefined, newestAt: NOW, trails: [] };
  return makeAccessMatrix({ policy, now: NOW } as unknown as Sources, log as never);
}

const AUTH = `  - id: ${ID}auth\n    permissions: [passkeys:authenticate, passkeys:read]\n    relyingParties: [login.bank.example]\n    requestsPerSecond: 10\n`;
const APPROVALS = `  - id: ${ID}chief\n    permissions: [approvals:decide]\n    requestsPerSecond: 1\napprovals:\n  permissions: [passkeys:erase]\n`;

describe('the access matrix', () => {
  it('says when an identity last used each permission, and how often it was refused one', () => {
    const { content } = makeMatrix(AUTH, [
      makeEvent('auth', 'passkeys:authenticate', '2026-06-01T00:00:00Z'),
      makeEvent('auth', 'passkeys:authenticate', '2026-06-02T00:00:00Z'),
      makeEvent('auth', 'audit:read', '2026-06-03T00:00:00Z', 'access.denied'),
    ]);
    const uses = { recorded: true, refused: 0, lastRefused: null };
    expect(content).toMatchObject({
      identities: [
        {
          identity: `${ID}auth`,
          inPolicy: true,
          relyingParties: ['login.bank.example'],
          lastSeen: '2026-06-03T00:00:00.000Z',
          permissions: [
            {
              ...uses,
              permission: 'passkeys:authenticate',
              granted: true,
              used: 2,
              lastUsed: '2026-06-02T00:00:00.000Z',
            },
            { permission: 'passkeys:read', granted: true, recorded: false, used: 0, lastUsed: null },
            {
              permission: 'audit:read',
              granted: false,
              used: 0,
              lastUsed: null,
              refused: 1,
              lastRefused: '2026-06-03T00:00:00.000Z',
            },
          ],
        },
      ],
    });
  });

  it('asks nothing about a policy that is as small as it can be', () => {
    const used = [
      makeEvent('auth', 'passkeys:authenticate', '2026-06-01T00:00:00Z'),
      makeEvent('chief', 'approvals:decide', '2026-06-01T00:00:00Z', 'approval.approve'),
    ];
    expect(makeMatrix(`${AUTH}${APPROVALS}`, used).open).toEqual([]);
  });

  it.each<readonly [what: string, services: string, events: object[], question: RegExp]>([
    [
      'an identity of the log that is not in the policy',
      '',
      [makeEvent('gone', 'audit:read', '2026-06-01T00:00:00Z', 'audit.read')],
      /gone is in the log and not in the access policy/,
    ],
    [
      'a right that was not used for 90 days',
      '',
      [makeEvent('auth', 'passkeys:authenticate', '2026-02-01T00:00:00Z')],
      /auth has not used passkeys:authenticate for 90 days/,
    ],
    ['a right that was never used', '', [], /auth has not used passkeys:authenticate for 90 days/],
    [
      'a grant that has ended',
      `  - id: ${ID}old\n    permissions: [statistics:read]\n    requestsPerSecond: 1\n    notAfter: 2026-01-01T00:00:00Z\n`,
      [],
      /The grant of \S+old ended/,
    ],
    [
      'an auditor that changes things',
      `  - id: ${ID}both\n    permissions: [audit:read, relying-parties:write]\n`,
      [],
      /both has audit:read together with relying-parties:write/,
    ],
    [
      'one that approves what it asks for',
      `  - id: ${ID}both\n    permissions: [approvals:decide, passkeys:erase]\n`,
      [],
      /may ask for what it may approve/,
    ],
    [
      'a caller for every relying party',
      `  - id: ${ID}wide\n    permissions: [passkeys:read]\n`,
      [],
      /wide may act for every relying party/,
    ],
    [
      'a caller without a limit',
      `  - id: ${ID}wide\n    permissions: [statistics:read]\n`,
      [],
      /no limit of requests: \S+wide/,
    ],
    ['a policy without approvals', '', [], /No change needs the approval/],
  ])('asks about %s', (_what, services, events, question) => {
    expect(makeMatrix(`${AUTH}${services}`, events).open).toContainEqual(expect.stringMatching(question));
  });

  it('does not judge unused rights by a log that is shorter than 90 days', () => {
    const { open } = makeMatrix(`${AUTH}${APPROVALS}`, [], '', '2026-06-01T00:00:00Z');
    expect(open).toEqual([expect.stringMatching(/^The log reaches back to 2026-06-01/)]);
  });

  it('calls unrecorded exactly those permissions whose every route records nothing', () => {
    const routes = Contract.load().operations.map(({ method, path, document }) => ({
      permission: String(document['x-permission']),
      // What comes of a challenge or an import is recorded as it happens.
      recorded: !UNRECORDED.includes(`${method} ${path}`) || /challenges|import/.test(path),
    }));
    const permissions = new Set(routes.map(({ permission }) => permission));
    permissions.delete('any');
    const silent = [...permissions].filter((name) =>
      routes.every(({ permission, recorded }) => permission !== name || !recorded),
    );
    expect(silent.toSorted()).toEqual([...UNRECORDED_PERMISSIONS].toSorted());
  });
});
