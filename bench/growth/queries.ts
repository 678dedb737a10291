import { toFirstId } from '../../src/audit/audit-event.repository.js';
import { RP_ID } from '../contenders/contender.js';
import { ACTIVE_EVERY, compileMember, type Population, SMALL_RP_ID } from './population.js';

/** A query of operators and auditors. */
export interface Query {
  readonly name: string;
  /** The caller's certificate; `stranger` is an auditor of the small relying party alone. */
  readonly identity: 'auth-service' | 'auditor' | 'stranger';
  /**
   * True for a query by two columns. The plan takes the better column and filters by the other, so it may read all rows of
   * the better one. The report judges only the time.
   */
  readonly combined?: boolean;
  /** @param turn selects another user, credential or event in each turn */
  path(population: Population, turn: number): string;
}

const STRIDE = 15_485_863;
const cursorAt = (id: string): string => Buffer.from(id).toString('base64url');
const textAt = ({ since, until }: Population, share: number, plus = 0): string =>
  new Date(Math.floor(since + (until - since) * share) + plus).toISOString();
/** Returns a user who is in the log and is not the robot's. */
const activeAt = (population: Population, turn: number): ReturnType<typeof compileMember> => {
  const active = Math.ceil(population.size / ACTIVE_EVERY);
  return compileMember((1 + ((turn * STRIDE) % (active - 1))) * ACTIVE_EVERY, population);
};

const credentials = (name: string, parameters: (population: Population, turn: number) => object): Query => ({
  name: `credentials ${name}`,
  identity: 'auth-service',
  path: (population, turn) => `/v1/credentials?${search(parameters(population, turn))}`,
});
const events = (
  name: string,
  parameters: (population: Population, turn: number) => object,
  identity: Query['identity'] = 'auditor',
): Query => ({
  name: `events ${name}`,
  identity,
  path: (population, turn) => `/v1/audit/events?${search(parameters(population, turn))}`,
});

const combined = (query: Query): Query => ({ ...query, combined: true });

function search(parameters: object): string {
  return new URLSearchParams(Object.entries(parameters) as [string, string][]).toString();
}

const deep = (population: Population): string =>
  cursorAt(toFirstId(population.since + (population.until - population.since) * 0.1));

export const QUERIES: readonly Query[] = [
  credentials('of a user', (population, turn) => ({ rpId: RP_ID, userId: activeAt(population, turn).userId })),
  credentials('of a user, any relying party', (population, turn) => ({ userId: activeAt(population, turn).userId })),
  credentials('of a relying party', () => ({ rpId: RP_ID })),
  credentials('of a relying party, deep page', (population) => ({
    rpId: RP_ID,
    cursor: cursorAt(compileMember(Math.floor(population.size * 0.9), population).id),
  })),
  credentials('of a small relying party', () => ({ rpId: SMALL_RP_ID })),
  credentials('revoked', () => ({ rpId: RP_ID, status: 'revoked' })),
  combined(credentials('suspended, of a small relying party', () => ({ rpId: SMALL_RP_ID, status: 'suspended' }))),
  credentials('suspended, anywhere', () => ({ status: 'suspended' })),
  credentials('of a model', () => ({ aaguid: '00000000-0000-0000-0000-000000000000' })),
  credentials('of a model that nobody has', () => ({ aaguid: '11111111-1111-4111-8111-111111111111' })),
  events('newest', () => ({})),
  events('deep page', (population) => ({ cursor: deep(population) })),
  events('by type', () => ({ type: 'credential.verify' })),
  events('by type, deep page', (population) => ({ type: 'credential.verify', cursor: deep(population) })),
  events('by rare type', () => ({ type: 'credential.rename' })),
  events('by type, none', () => ({ type: 'user.erase' })),
  events('by actor', () => ({ actor: 'spiffe://passkey-manager.local/auth-service' })),
  events('by rare actor', () => ({ actor: 'spiffe://passkey-manager.local/auditor' })),
  events('by user', (population, turn) => ({ userId: activeAt(population, turn).userId })),
  events('by user with many', (population) => ({ userId: compileMember(0, population).userId })),
  events('by credential', (population, turn) => ({ credentialId: activeAt(population, turn).id })),
  events('by credential id', (population, turn) => ({
    credentialId: activeAt(population, turn).credentialId.toString('base64url'),
  })),
  events('by outcome', () => ({ outcome: 'failure' })),
  events('by time', (population, turn) => {
    const share = ((turn * STRIDE) % population.size) / population.size;
    return { from: textAt(population, share), to: textAt(population, share, 3_600_000) };
  }),
  events('by type and outcome', () => ({ type: 'credential.verify', outcome: 'failure' })),
  combined(events('by type and outcome, none', () => ({ type: 'credential.rename', outcome: 'failure' }))),
  combined(
    events('by type and actor', () => ({
      type: 'credential.rename',
      actor: 'spiffe://passkey-manager.local/auth-service',
    })),
  ),
  combined(
    events('by type and actor, none', () => ({
      type: 'audit.read',
      actor: 'spiffe://passkey-manager.local/auth-service',
    })),
  ),
  events('newest, of a small relying party', () => ({}), 'stranger'),
  combined(events('by type, of a small relying party', () => ({ type: 'challenge.issue' }), 'stranger')),
  combined(events('by type, none, of a small relying party', () => ({ type: 'credential.verify' }), 'stranger')),
  combined(events('by outcome, none, of a small relying party', () => ({ outcome: 'failure' }), 'stranger')),
  {
    name: 'consistency proof',
    identity: 'auditor',
    path: ({ size }) => `/v1/audit/consistency?from=1&to=${String(size)}`,
  },
  {
    name: 'export of a moment',
    identity: 'auditor',
    path: (population) =>
      `/v1/audit/export?${search({ from: textAt(population, 0.5), to: textAt(population, 0.5, 1) })}`,
  },
];
