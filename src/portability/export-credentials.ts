import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { Inject, Injectable, type OnModuleDestroy } from '@nestjs/common';
import { OpenExports } from '../access/open-exports.js';
import { AuditService } from '../audit/audit.service.js';
import { UserSeals } from '../audit/user-seals.js';
import { LOG_KEYS, type LogKeys } from '../audit-log/log-keys.js';
import { CLOCK, type Clock } from '../config/clock.js';
import { CredentialBindings } from '../credentials/credential-bindings.js';
import type { AuthorizedContext } from '../http/request-context.js';
import { Problem, type ProblemSlug } from '../http/problem.js';
import { RelyingPartiesService } from '../relying-parties/relying-parties.service.js';
import { formatEnd, formatHeader, formatLeftOut, signEnd } from './export-frame.js';
import { formatCredential } from './export-line.js';
import { type ExportedRow, ExportPagesRepository } from './export-pages.repository.js';

/** The seals of a page are verified at once, and meanwhile other requests wait. */
const PAGE = 200;
const STOPPING = { detail: 'the service stops; another replica begins anew', retryAfter: 1 };

/** How far an export is. */
interface Progress {
  count: number;
  leftOut: number;
  isFinished: boolean;
}

/** Exports the credentials of a relying party. The log has an event before the first byte, and one when it ends. */
@Injectable()
export class ExportCredentials implements OnModuleDestroy {
  private readonly underWay = new Set<Readable>();

  constructor(
    private readonly exports: OpenExports,
    private readonly parties: RelyingPartiesService,
    private readonly pages: ExportPagesRepository,
    private readonly bindings: CredentialBindings,
    private readonly users: UserSeals,
    private readonly audit: AuditService,
    @Inject(LOG_KEYS) private readonly keys: LogKeys,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /** Ends the exports that are under way while their end can still be recorded. */
  async onModuleDestroy(): Promise<void> {
    const closed = [...this.underWay].map(
      (stream) =>
        new Promise((resolve) => {
          stream.once('close', resolve).destroy(new Problem('unavailable', STOPPING));
        }),
    );
    await Promise.all(closed);
  }

  /** @throws Problem relying-party-unknown, rate-limited */
  async open(context: AuthorizedContext, rpId: string): Promise<Readable> {
    const progress: Progress = { count: 0, leftOut: 0, isFinished: false };
    let exportId: string | undefined;
    const stream = await this.exports.begin(context, { permission: 'passkeys:export', rpId }, async () => {
      await this.parties.get(rpId);
      const last = await this.pages.findLast(rpId);
      exportId = await this.recordState(context, rpId, { state: 'begun' });
      return this.format(context, { rpId, last, exportId }, progress);
    });
    this.underWay.add(stream);
    return stream.once('close', () => {
      this.underWay.delete(stream);
      if (!progress.isFinished) this.recordBreak(context, rpId, exportId!, progress, stream.errored);
    });
  }

  private async *format(
    context: AuthorizedContext,
    { rpId, last, exportId }: { rpId: string; last: string | undefined; exportId: string },
    progress: Progress,
  ): AsyncGenerator<Buffer> {
    const hash = createHash('sha256');
    const take = (text: string): Buffer => {
      const bytes = Buffer.from(text);
      hash.update(bytes);
      return bytes;
    };
    const { origin } = this.keys;
    yield take(formatHeader({ rpId, deployment: origin, exportedAt: this.clock.now().toISOString(), exportId }));
    if (last !== undefined) {
      for await (const rows of this.pages.readPages(rpId, last, PAGE)) {
        yield take(await this.formatPage(context, rows, progress));
      }
    }
    const { count, leftOut } = progress;
    const digest = hash.digest();
    const end = { count, leftOut, digest: digest.toString('base64url') };
    const signature = await signEnd({ count, digest }, this.keys, this.clock.now());
    await this.recordState(context, rpId, {
      state: 'finished',
      export: exportId,
      ...toFacts(progress),
      digest: end.digest,
    });
    progress.isFinished = true;
    yield Buffer.from(formatEnd({ ...end, signature }));
  }

  private async formatPage(
    context: AuthorizedContext,
    rows: readonly ExportedRow[],
    progress: Progress,
  ): Promise<string> {
    let lines = '';
    const origin = { source: this.keys.origin, now: this.clock.now() };
    for (const { credential, user } of rows) {
      // A user without a row was deleted by SQL, which src/reconciliation reports.
      const isWhole =
        (await this.bindings.verifyRow(context, credential)) &&
        user !== null &&
        (await this.users.verifyRow(context, user));
      lines += isWhole ? formatCredential(credential, user, origin) : formatLeftOut(credential.id);
      progress[isWhole ? 'count' : 'leftOut'] += 1;
    }
    return lines;
  }

  private recordState(context: AuthorizedContext, rpId: string, facts: Record<string, unknown>): Promise<string> {
    return this.audit.record(context, { type: 'credential.export', outcome: 'success', rpId, facts });
  }

  /** Records that the caller did not get the whole export. It is recorded even if the database is away. */
  private recordBreak(
    context: AuthorizedContext,
    rpId: string,
    exportId: string,
    progress: Progress,
    error: Error | null,
  ): void {
    const reason: ProblemSlug | undefined =
      error instanceof Problem ? error.slug : isClosedEarly(error) ? undefined : 'unavailable';
    const facts = { state: 'broken-off', export: exportId, caller: context.caller.spiffeId, ...toFacts(progress) };
    this.audit.recordEventually({ type: 'credential.export', outcome: 'failure', reason, rpId, facts });
  }
}

function toFacts({ count, leftOut }: Progress): Record<string, number> {
  return { credentials: count, left_out: leftOut };
}

/** True if the connection ended, and not the export. */
function isClosedEarly(error: Error | null): boolean {
  return error === null || (error as { code?: string }).code === 'ERR_STREAM_PREMATURE_CLOSE';
}
