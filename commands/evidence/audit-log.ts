import { createReadStream, existsSync, statSync } from 'node:fs';
import type { DataSource } from 'typeorm';
import { LogLines } from '../../src/audit-log/log-lines.js';
import { LogRepository } from '../../src/audit-log/log.repository.js';
import type { Config } from '../../src/config/config.js';
import { readNotes } from '../../src/tlog/checkpoint-trail.js';
import { type ProvedExport, verifyExport } from '../../src/tlog/export-verifier.js';
import { ExportError, passLines } from '../../src/tlog/lines.js';
import { LogTally } from './log-tally.js';
import { countDays, formatTable, type Part } from './part.js';
import type { KeysOverTime } from './signed-index.js';

/** The log as it was verified. */
export interface VerifiedLog {
  readonly tally: LogTally;
  readonly proved: ProvedExport | undefined;
  /** Why the log does not verify. */
  readonly fault: string | undefined;
  readonly newestAt: Date | undefined;
  /** The checkpoints that the log was held against. */
  readonly trails: readonly { readonly file: string; readonly bytes: number }[];
}

/**
 * Reads the log from the database in the form of an export, and verifies it as `npm run audit:verify` does. What the evidence says
 * of events is collected on the way.
 *
 * @param checkpoints files of checkpoints that were kept outside, besides the configured anchor
 * @param since the time from which on the log is read; undefined: all of it
 */
export async function verifyLog(
  dataSource: DataSource,
  { keys, former }: KeysOverTime,
  checkpoints: readonly string[],
  since: Date | undefined,
  onProgress: (lines: number, leaves: number) => void,
): Promise<VerifiedLog> {
  const tally = new LogTally();
  const storage = new LogRepository(dataSource);
  const trails = checkpoints.map((file) => ({ file, bytes: statSync(file).size }));
  const newest = await storage.findLatestCheckpoint();
  if (!newest) return { tally, proved: undefined, fault: 'the log has no checkpoint', newestAt: undefined, trails };
  const { size } = newest;
  const from = since === undefined ? 0 : await storage.findBegin(since.getTime(), size);
  const lines = new LogLines(storage).formatRange({ from, to: size }, newest, null);
  const tallied = passLines(lines, (text) => {
    const { kind, event } = JSON.parse(text) as { kind: string; event?: unknown };
    if (kind === 'event') tally.add(event);
  });
  const anchored = trails.map(({ file }) => readNotes(createReadStream(file)));
  try {
    const proved = await verifyExport(tallied, keys, {
      former,
      ...(anchored.length > 0 ? { anchored } : {}),
      onProgress: (_bytes, count) => {
        onProgress(count, size - from);
      },
    });
    return { tally, proved, fault: undefined, newestAt: newest.createdAt, trails };
  } catch (error) {
    if (!(error instanceof ExportError)) throw error;
    return { tally, proved: undefined, fault: error.message, newestAt: newest.createdAt, trails };
  }
}

/** Lists the files of checkpoints: the configured anchor, if it can be read here, and those that the arguments name. */
export function listTrails({ auditAnchorFile }: Config, given: readonly string[]): string[] {
  const own = auditAnchorFile !== undefined && existsSync(auditAnchorFile) ? [auditAnchorFile] : [];
  return [...new Set([...own, ...given])];
}

/** PCI DSS 4.0.1 10.5.1: three months of the log are at hand. */
const ONLINE_DAYS = 90;
/** A log that grows has a checkpoint about every second, and a quiet one grows with the summary of a minute. */
const MAX_AGE_MS = 86_400_000;

export function describeLog(log: VerifiedLog, { auditAnchorFile, auditAnchorUrl }: Config, now: Date): Part {
  const { tally, proved, fault, newestAt, trails } = log;
  const { anchored } = proved ?? {};
  const signs = [...tally.signs]
    .map(([type, { count, last }]) => ({ type, count, last: new Date(last).toISOString() }))
    .sort((one, other) => one.type.localeCompare(other.type, 'en'));
  const archives = tally.listEvents('audit.archive');
  const content = {
    verified: proved !== undefined,
    fault: fault ?? null,
    log: proved?.checkpoint.origin ?? null,
    treeSize: proved?.checkpoint.size ?? null,
    leavesFrom: proved?.from ?? null,
    leavesTo: proved?.to ?? null,
    root: proved?.checkpoint.root.toString('base64') ?? null,
    checkpointAt: newestAt?.toISOString() ?? null,
    signedBy:
      proved?.checkpoint.keys.map(({ name, keyId, algorithm }) => ({ key: `${name}+${keyId}`, algorithm })) ?? [],
    events: proved?.events ?? null,
    archivedEvents: proved?.erased ?? null,
    firstEvent: proved?.span?.[0].toISOString() ?? null,
    lastEvent: proved?.span?.[1].toISOString() ?? null,
    anchors: {
      file: auditAnchorFile ?? null,
      url: auditAnchorUrl === undefined ? null : new URL(auditAnchorUrl).origin,
      comparedFiles: trails,
      checkpointsThatMatch: anchored?.held ?? 0,
      checkpointsNewerThanThis: anchored?.newer ?? 0,
    },
    archives,
    eventsOfFailureOrTampering: signs,
  };
  return {
    file: 'audit-log.json',
    title: 'Audit log: verification and anchors (10.3.4, 10.5.1)',
    content,
    summary: [
      proved
        ? `${proved.from === 0 ? 'The whole log verifies' : `The log verifies from leaf ${String(proved.from)} on`}: ${String(proved.events)} events and ${String(proved.erased)} archived ones are exactly those that the checkpoint of ${content.checkpointAt ?? '?'} signs${proved.from === 0 ? '' : ' from there on'}.`
        : `The log does not verify: ${fault ?? '?'}.`,
      '',
      ...formatTable(
        ['fact', 'value'],
        [
          ['root', content.root ?? ''],
          ['signed by', content.signedBy.map(({ key, algorithm }) => `${algorithm} (${key})`).join(', ')],
          ['events from', `${content.firstEvent ?? 'none'} to ${content.lastEvent ?? 'none'}`],
          ['checkpoints kept outside that match', String(content.anchors.checkpointsThatMatch)],
          ...archives.map(({ time, facts }): [string, string] => [
            'archived',
            `${String(facts['partition'])} at ${time}`,
          ]),
        ],
      ),
      '',
      ...(signs.length === 0
        ? ['The log has no event of a failed control or of tampering.']
        : formatTable(
            ['events of failure or tampering', 'count', 'last'],
            signs.map(({ type, count, last }) => [type, String(count), last]),
          )),
    ],
    open: listOpen(log, { auditAnchorFile, auditAnchorUrl }, now),
    faults: fault === undefined ? [] : [`The audit log does not verify: ${fault}.`],
  };
}

function listOpen(
  { tally, proved, newestAt, trails }: VerifiedLog,
  { auditAnchorFile, auditAnchorUrl }: Pick<Config, 'auditAnchorFile' | 'auditAnchorUrl'>,
  now: Date,
): string[] {
  const open: string[] = [];
  if (auditAnchorFile === undefined && auditAnchorUrl === undefined)
    open.push(
      'No anchor is configured: nobody outside keeps checkpoints, so a log that its owner signs anew goes unnoticed.',
    );
  if (trails.length === 0 && proved) {
    open.push(
      'The log was held against no checkpoint that was kept outside: give the file of the anchor’s receiver by --checkpoints.',
    );
  }
  if (proved && proved.from > 0)
    open.push(`The log was read from leaf ${String(proved.from)} on: what was before is not in the evidence.`);
  if (newestAt && now.getTime() - newestAt.getTime() > MAX_AGE_MS)
    open.push(`The newest checkpoint is of ${newestAt.toISOString()}: nothing was recorded since.`);
  const first = proved?.span?.[0];
  if (first && proved.erased > 0 && countDays(first, now) < ONLINE_DAYS)
    open.push(`Events from before ${first.toISOString()} are archived, and 10.5.1 wants three months at hand.`);
  for (const [type, { count, last }] of tally.signs) {
    if (type === 'audit.recovery') continue;
    open.push(
      `The log has ${String(count)} × ${type}, the last at ${new Date(last).toISOString()}: say what was done about it.`,
    );
  }
  return open;
}
