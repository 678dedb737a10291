import { Inject, Injectable } from '@nestjs/common';
import { AuthenticatorsService } from '../authenticators/authenticators.service.js';
import { CLOCK, type Clock } from '../config/clock.js';
import { createMalformedProblem } from '../http/problem.js';
import { FIRST_TIME } from '../http/validators.js';
import { RelyingPartiesService } from '../relying-parties/relying-parties.service.js';
import { CeremonyCountsRepository, type CountedLog, HOUR_MS, type HourCount } from './ceremony-counts.repository.js';
import { type ComputedCounts, CredentialCountsRepository } from './credential-counts.repository.js';
import type { StatisticsQuery } from './dto/statistics.query.js';
import type {
  CeremonyHour,
  CeremonyStatistics,
  CredentialStatistics,
  StatisticsResponse,
} from './dto/statistics.response.js';

const DAY_HOURS = 24;
const MOST_HOURS = 31 * DAY_HOURS;
/** The most models that an answer lists. */
const MOST_MODELS = 100;

/** Hours since 1970: [from, to). */
interface Hours {
  readonly from: number;
  readonly to: number;
}

/** Shows what is counted of a relying party, and how old that is. */
@Injectable()
export class StatisticsService {
  constructor(
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly parties: RelyingPartiesService,
    private readonly authenticators: AuthenticatorsService,
    private readonly ceremonies: CeremonyCountsRepository,
    private readonly credentials: CredentialCountsRepository,
  ) {}

  /** @throws Problem request-malformed, relying-party-unknown */
  async show({ rpId, from, to }: StatisticsQuery): Promise<StatisticsResponse> {
    const now = this.clock.now();
    const hours = readHours(from, to, now);
    await this.parties.get(rpId);
    // The log is read first, so that its counts are at least as new as the answer says.
    const log = await this.ceremonies.readLog();
    const counts = await this.ceremonies.readHours(rpId, hours.from, hours.to);
    const computed = await this.credentials.read(rpId, now);
    return {
      rpId,
      from: toDate(hours.from),
      to: toDate(hours.to),
      credentials: computed ? this.showCredentials(computed) : null,
      ceremonies: showCeremonies(counts, log, now),
    };
  }

  private showCredentials({ counts, computedAt }: ComputedCounts): CredentialStatistics {
    const { status, models, otherModels, algorithms, backup, trust, unused } = counts;
    const ranked = rank(models);
    return {
      computedAt,
      byStatus: { active: status['active'] ?? 0, suspended: status['suspended'] ?? 0, revoked: status['revoked'] ?? 0 },
      byModel: ranked.slice(0, MOST_MODELS).map(([aaguid, credentials]) => {
        return { aaguid, name: this.authenticators.findLabel(aaguid)?.name ?? null, credentials };
      }),
      otherModels: ranked.slice(MOST_MODELS).reduce((sum, [, credentials]) => sum + credentials, otherModels),
      byAlgorithm: rank(algorithms).map(([name, credentials]) => ({ algorithm: Number(name), credentials })),
      byBackup: rank(backup).map(([name, credentials]) => ({ ...readBackup(name), credentials })),
      byTrust: {
        ...{ none: trust['none'] ?? 0, self: trust['self'] ?? 0 },
        ...{ untrusted: trust['untrusted'] ?? 0, trusted: trust['trusted'] ?? 0 },
      },
      unusedFor90Days: unused,
    };
  }
}

/** @throws Problem request-malformed */
function readHours(from: string | undefined, to: string | undefined, now: Date): Hours {
  const end = to === undefined ? Math.floor(now.getTime() / HOUR_MS) + 1 : readHour(to, '/to');
  const begin = from === undefined ? end - DAY_HOURS : readHour(from, '/from');
  if (begin * HOUR_MS < FIRST_TIME) throw createMalformedProblem('is less than a day after the year 0001 began', '/to');
  if (begin >= end) throw createMalformedProblem('must be before the end of the range', '/from');
  if (end - begin > MOST_HOURS)
    throw createMalformedProblem('is more than 31 days before the end of the range', '/from');
  return { from: begin, to: end };
}

function readHour(time: string, pointer: string): number {
  const hour = Date.parse(time) / HOUR_MS;
  if (Number.isInteger(hour)) return hour;
  throw createMalformedProblem('must be a whole hour of UTC, such as 2026-03-01T09:00:00Z', pointer);
}

function toDate(hour: number): Date {
  return new Date(hour * HOUR_MS);
}

/** The most frequent first, and of equal ones in the order of their names. */
function rank(counts: Readonly<Record<string, number>>): [name: string, count: number][] {
  return Object.entries(counts).toSorted(([a, left], [b, right]) => right - left || (a < b ? -1 : 1));
}

function readBackup(name: string): { backupEligible: boolean | null; backedUp: boolean } {
  const [eligible, backedUp] = name.split(' ');
  return { backupEligible: eligible === 'null' ? null : eligible === 'true', backedUp: backedUp === 'true' };
}

function showCeremonies(counts: readonly HourCount[], log: CountedLog, now: Date): CeremonyStatistics {
  const byHour: CeremonyHour[] = [];
  for (const { hour, ceremony, kind, reason, count } of counts) {
    const last = byHour.at(-1);
    const isSame = last?.ceremony === ceremony && last.hour.getTime() === hour * HOUR_MS;
    const shown = isSame
      ? last
      : { ...{ hour: toDate(hour), ceremony, begun: 0, answered: 0, accepted: 0 }, refused: {} };
    if (!isSame) byHour.push(shown);
    if (kind === 'failure') shown.refused[reason] = count;
    else shown[kind === 'success' ? 'accepted' : kind] = count;
  }
  const [begun, answered] = (['begun', 'answered'] as const).map((kind) =>
    byHour.reduce((sum, each) => sum + each[kind], 0),
  ) as [number, number];
  const { since } = log;
  const rest = { begun, neverAnswered: Math.max(0, begun - answered), byHour };
  return { computedAt: findAge(log, now), since: since === null ? null : toDate(since), ...rest };
}

/** The time at which every event of the log was counted. Pending events are not in the log yet. */
function findAge({ isBehind, isPending, countedAt, signedAt }: CountedLog, now: Date): Date | null {
  if (isBehind) return countedAt;
  return isPending ? signedAt : now;
}
