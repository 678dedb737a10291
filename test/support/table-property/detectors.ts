import { Readable } from 'node:stream';
import { DataSource, type EntityManager } from 'typeorm';
import { EventMacs, type SealedEvent } from '../../../src/audit/event-macs.js';
import { Refusals } from '../../../src/audit/refusals.js';
import { SpentChallengePeriods } from '../../../src/challenges/spent-challenge-periods.js';
import { findPendingMigrations } from '../../../src/database/data-source.js';
import { describeFinding } from '../../../src/reconciliation/judge-rows.js';
import { Reconciler } from '../../../src/reconciliation/reconciler.js';
import { SealRefresh } from '../../../src/reconciliation/seal-refresh.js';
import { BEGINNING, type Place, type WalkedPage, walkPage } from '../../../src/reconciliation/walk-page.js';
import { RelyingPartyAdoption } from '../../../src/relying-parties/relying-party-adoption.js';
import { SealRegister } from '../../../src/seals/seal-register.js';
import { StatisticsCounter } from '../../../src/statistics/statistics-counter.js';
import { Metrics } from '../../../src/telemetry/metrics.js';
import { verifyExport } from '../../../src/tlog/export-verifier.js';
import type { SeededService } from './seeded-service.js';

/** Does what finds changes of a table. */
export interface Detector {
  /** Begins before the change, as a replica that is running then. */
  begin?(seeded: SeededService): Promise<void>;
  /** @returns what was found; undefined: nothing */
  find(seeded: SeededService): Promise<string | undefined>;
}

type Find = Detector['find'];

const DAY_SECONDS = 86_400;

/** Tries detectors, one after another, until one finds something. */
const any =
  (...finds: Find[]): Find =>
  async (seeded) => {
    for (const find of finds) {
      const found = await find(seeded);
      if (found !== undefined) return found;
    }
    return undefined;
  };

/** Finds an event that says that a row was tampered with, which the service records while it does something. */
const recordedBy =
  (act: (seeded: SeededService) => Promise<unknown>): Find =>
  async (seeded) => {
    seeded.service.clock.advance(RECORD_SECONDS);
    await act(seeded);
    if (await takeTampered(seeded)) return 'recorded';
    await seeded.of(Refusals).write();
    return (await takeTampered(seeded)) ? 'counted' : undefined;
  };

/** The log has ten records a minute for a row, and counts the others. */
const RECORD_SECONDS = 7;

/** Removes the events that say that a row was tampered with. @returns true if there was one */
async function takeTampered({ owner }: SeededService): Promise<boolean> {
  const { rowCount } = await owner.query("DELETE FROM audit_event WHERE type LIKE '%.tampered'");
  return rowCount! > 0;
}

const listCredentials = recordedBy((seeded) => seeded.read('auth-service', '/v1/credentials?limit=200'));

/** Reads each user of the table, also those that nobody registered. */
const readSignals = recordedBy(async (seeded) => {
  const { rows } = await seeded.owner.query<{ rp: string; user: string }>(
    'SELECT rp_id AS rp, user_id AS user FROM user_handle',
  );
  for (const { rp, user } of rows) {
    await seeded.read('auth-service', `/v1/users/${encodeURIComponent(user)}/signals?rpId=${encodeURIComponent(rp)}`);
  }
});

const useEachPasskey = recordedBy(async (seeded) => {
  // A user has a number of challenges a minute.
  seeded.service.clock.advance(61);
  for (const { userId, ceremonies, authenticator } of seeded.holders) {
    await ceremonies.authenticate(authenticator);
    await ceremonies.requestRegistration(userId);
  }
});

const listRelyingParties = recordedBy((seeded) => seeded.read('operator', '/v1/relying-parties'));

const listApprovals = recordedBy((seeded) => seeded.read('second', '/v1/approvals?limit=200'));

/** Holds all rows against the log, as the background walk does. */
const walkRows: Find = (seeded) => walk(seeded, () => Promise.resolve());

/** Verifies the seals of all rows, and seals again those that need it, as the background walk does. */
const walkSeals = recordedBy((seeded) =>
  walk(seeded, (manager, { rows }) => (rows ? seeded.of(SealRefresh).refresh(manager, rows) : Promise.resolve())),
);

/** @returns the first finding */
function walk(
  seeded: SeededService,
  visit: (manager: EntityManager, page: WalkedPage) => Promise<unknown>,
): Promise<string | undefined> {
  const isGenuine = (event: SealedEvent): boolean => seeded.of(EventMacs).isGenuine(event);
  return seeded.of(DataSource).transaction(async (manager) => {
    for (let place: Place | undefined = BEGINNING; place;) {
      const page: WalkedPage = await walkPage(manager, place, { isGenuine });
      if (page.findings[0]) return describeFinding(page.findings[0]);
      await visit(manager, page);
      place = page.next;
    }
    return undefined;
  });
}

/** Walks a page of rows in its turn. */
const takeWalk: Find = async (seeded) => {
  const reconciler = seeded.of(Reconciler);
  await reconciler.tick();
  return reconciler.getState().failure;
};

/** Compares the keys with the database as a start does. */
const startAgain: Find = (seeded) =>
  failureOf(async () => {
    await SealRegister.read(seeded.of(DataSource), seeded.service.clock, seeded.secrets, seeded.of(Metrics));
    await seeded.of(RelyingPartyAdoption).onModuleInit();
  });

async function failureOf(act: () => Promise<unknown>): Promise<string | undefined> {
  try {
    await act();
    return undefined;
  } catch (error) {
    return String(error);
  }
}

/** Makes the periods of a later week. */
const makePeriods: Find = async (seeded) => {
  const { clock } = seeded.service;
  const ahead = 7 * DAY_SECONDS * (seeded.weeks += 1);
  clock.advance(ahead);
  try {
    const periods = seeded.of(SpentChallengePeriods);
    await periods.make();
    return periods.end! > clock.now() ? undefined : 'no challenge can be spent';
  } finally {
    clock.advance(-ahead);
  }
};

const findMigrations: Find = async ({ owner }) => {
  const pending = await findPendingMigrations(owner);
  return pending.length > 0 ? `migrations are pending: ${pending.join()}` : undefined;
};

const TURNS = 2;
/** After half a minute a turn that did nothing counts as a standstill. */
const TURN_SECONDS = 40;

/** Sequences what is pending and compares all events with the log, as a replica does that was running before the change. */
const runLog: Find = async ({ service: { clock }, replica: { keeper, audit } }) => {
  for (let turn = 0; turn < TURNS; turn += 1) {
    clock.advance(TURN_SECONDS);
    await keeper.tick();
  }
  clock.advance(-TURNS * TURN_SECONDS);
  await audit.beforeApplicationShutdown();
  const { failures } = keeper.getState();
  return failures.length > 0 ? failures.join() : undefined;
};

/** Verifies an export of the whole log with the checkpoints that were kept, as an auditor does. */
const verifyLog: Find = ({ keys, kept, archivedUntil, replica: { proofs, lines } }) =>
  failureOf(async () => {
    const { size, note } = await proofs.getCheckpoint();
    const options = { anchored: [Readable.from(kept)], since: kept.at(-1), retainedSince: archivedUntil };
    await verifyExport(lines.formatRange({ from: 0, to: size }, { size, note }, null), keys, options);
  });

/** Finds that each event became one leaf, as without the change, and nothing else did. */
const becomesTheSame: Find = async ({ owner }) => {
  const { rows } = await owner.query<{ same: boolean }>(`
    SELECT NOT EXISTS (SELECT FROM untouched.audit_event e LEFT JOIN audit_leaf l ON event_id = id
                        WHERE l.leaf_hash IS DISTINCT FROM e.leaf_hash)
       AND NOT EXISTS (SELECT event_id FROM audit_leaf EXCEPT SELECT event_id FROM untouched.audit_leaf
                       EXCEPT SELECT id FROM audit_event) AS same`);
  return rows[0]!.same ? 'repaired' : undefined;
};

const begin = async (seeded: SeededService): Promise<void> => {
  seeded.replica = seeded.newReplica();
  await seeded.replica.trusted.readLatest();
};

const LOG: Detector = { begin, find: any(runLog, verifyLog) };
/** Nothing looks for changes of these tables. */
const NONE: Detector = { find: () => Promise.resolve(undefined) };

/** Nothing finds a change of what is counted, and none of them may be a failure. */
async function readStatistics(seeded: SeededService): Promise<undefined> {
  await seeded.of(StatisticsCounter).tick();
  await seeded.read('operator', '/v1/statistics?rpId=login.example.com');
  await seeded.read('operator', '/v1/statistics?rpId=shop.example.com');
}

/** Nothing finds a change of what receivers hear of, and none of them may be a failure. */
async function deliverSignals({ service, streams }: SeededService): Promise<undefined> {
  // A stream is verified once a minute.
  service.clock.advance(61);
  await streams.deliver(service.clock.now());
}

export const DETECTORS: Readonly<Record<string, Detector>> = {
  relying_party: { find: any(listRelyingParties, walkRows) },
  user_handle: { find: any(readSignals, walkRows, useEachPasskey) },
  credential: { find: any(listCredentials, walkRows, readSignals, useEachPasskey) },
  approval: { find: any(listApprovals, walkSeals) },
  challenge: NONE,
  spent_challenge: NONE,
  spent_challenge_horizon: { find: makePeriods },
  key_check_value: { find: startAgain },
  seal_key: { find: startAgain },
  seal_phase: { find: startAgain },
  reconciliation: { find: takeWalk },
  succession: NONE,
  statistic_ceremony: { find: readStatistics },
  statistic_credential: { find: readStatistics },
  statistic_log: { find: readStatistics },
  statistic_walk: { find: readStatistics },
  signal: { find: deliverSignals },
  signal_excluded_subject: { find: deliverSignals },
  signal_model: { find: deliverSignals },
  signal_stream: { find: deliverSignals },
  schema_migration: { find: findMigrations },
  audit_event: LOG,
  audit_leaf: LOG,
  audit_node: LOG,
  audit_checkpoint: LOG,
  audit_archive: LOG,
  audit_turn: LOG,
  audit_pending: { begin, find: any(runLog, verifyLog, becomesTheSame) },
};
