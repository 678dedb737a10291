import { Injectable } from '@nestjs/common';
import { AccessService } from '../access/access.service.js';
import { AuditService } from '../audit/audit.service.js';
import { createMalformedProblem, Problem } from '../http/problem.js';
import type { AuthorizedContext } from '../http/request-context.js';
import { isRpId, isText } from '../http/validators.js';
import type { SubjectDto } from './dto/stream.dto.js';
import { StreamRepository } from './stream.repository.js';
import { StreamsService } from './streams.service.js';

/** A receiver that wants to hear of few users has a stream of few relying parties, and not a list of all others. */
const MOST_EXCLUDED = 100_000;
const ISSUER = 'https://';

/**
 * Which users a stream hears of (SSF 1.0 §8.1.3): all of its relying parties, but for those whom its receiver removed. Whether a
 * user exists stays unsaid (§9.1).
 */
@Injectable()
export class SubjectsService {
  constructor(
    private readonly streams: StreamsService,
    private readonly rows: StreamRepository,
    private readonly access: AccessService,
    private readonly audit: AuditService,
  ) {}

  /**
   * @param isRemoved true: the stream does not hear of the user; false: it does, as of everyone
   * @throws Problem stream-unknown, relying-party-denied, request-malformed; stream-limit if too many are removed
   */
  async set(context: AuthorizedContext, { stream_id: id, subject }: SubjectDto, isRemoved: boolean): Promise<void> {
    const { rpId, userId } = readUser(subject);
    const { id: streamId } = await this.streams.find(context, id);
    await this.access.authorizeRelyingParty(context, rpId);
    await this.streams.changeLocked(context, id, async (manager) => {
      const excluded = { streamId, rpId, userId };
      if (isRemoved) {
        if ((await this.rows.countExcluded(manager, streamId)) >= MOST_EXCLUDED)
          throw new Problem('stream-limit', { detail: `at most ${String(MOST_EXCLUDED)} users can be removed` });
        await this.rows.exclude(manager, excluded);
      } else {
        await this.rows.include(manager, excluded);
      }
      const facts = { subject: isRemoved ? 'removed' : 'added' };
      const entry = { type: 'signal-stream.subject', outcome: 'success', rpId, userId, streamId, facts } as const;
      await this.audit.record(context, entry, manager);
    });
  }
}

/** Reads a subject of the form that SETs have (RFC 9493 §3.2.3). @throws Problem request-malformed */
function readUser({ format, iss, sub }: Readonly<Record<string, unknown>>): { rpId: string; userId: string } {
  if (format !== 'iss_sub') throw createMalformedProblem('must be iss_sub', '/subject/format');
  const rpId = typeof iss === 'string' && iss.startsWith(ISSUER) ? iss.slice(ISSUER.length) : '';
  if (!isRpId(rpId)) throw createMalformedProblem('must be https:// and the id of a relying party', '/subject/iss');
  if (!isText(sub, 1, 256)) throw createMalformedProblem('must be the id of a user', '/subject/sub');
  return { rpId, userId: sub };
}
