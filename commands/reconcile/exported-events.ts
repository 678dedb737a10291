import type { AuditArchiveEntity } from '../../src/audit-log/log.entities.js';
import { parseIdTime } from '../../src/audit/audit-event.repository.js';
import {
  CREDENTIAL_CHANGES,
  IMPORT_TYPE,
  RELYING_PARTY_CHANGES,
} from '../../src/reconciliation/held-pages.repository.js';
import type { MissingRow } from '../../src/reconciliation/judge-rows.js';
import { ERASURE_TYPE, type LoggedChange, RowHistory } from '../../src/reconciliation/row-history.js';
import type { EventsElsewhere } from '../../src/reconciliation/walk-page.js';
import { type ProvedExport, verifyExport } from '../../src/tlog/export-verifier.js';
import type { VerifierKey } from '../../src/tlog/keys.js';
import { ExportError, passLines } from '../../src/tlog/lines.js';
import { LeafRanges } from './leaf-ranges.js';

/** A row that exported events made or changed. */
export interface ToldRow {
  readonly table: MissingRow['table'];
  readonly subject: string;
  readonly rpId: string;
  readonly history: RowHistory;
}

/** A passkey that may not sign in any more. */
export interface EndedPasskey {
  readonly id: string;
  readonly rpId: string;
  readonly status: 'revoked' | 'suspended';
  /** The event that says so. */
  readonly event: LoggedChange;
}

export interface ErasedUser {
  /** The user's pseudonym in the log. */
  readonly uid: string;
  readonly event: LoggedChange;
  readonly passkeys: readonly ToldRow[];
}

const TELLING: ReadonlySet<string> = new Set([...CREDENTIAL_CHANGES, ...RELYING_PARTY_CHANGES, ERASURE_TYPE]);

interface ExportLine {
  readonly kind: string;
  readonly leafIndex: number;
  readonly eventId?: string;
  readonly event?: {
    readonly metadata: { readonly event_code: string; readonly uid: string };
    readonly status: string;
    readonly time: number;
    readonly entity?: { readonly uid?: string };
    readonly unmapped: {
      readonly credential?: { readonly uid?: string; readonly user_uid?: string };
      readonly credential_version?: number;
      readonly rp_id?: string;
      readonly status?: string;
      readonly status_reason?: string;
      readonly version?: number;
    };
  };
}

/**
 * Keeps what exports of the log say: the last event about each credential and relying party, and the erasures of users. It
 * takes about 600 bytes for each credential that was ever registered, however many events the exports have.
 */
export class ExportedEvents implements EventsElsewhere {
  completeSince = -Infinity;
  private readonly told = new Map<string, ToldRow>();
  private readonly erasures = new Map<string, LoggedChange>();
  private readonly events = new LeafRanges();
  /** Places without an event in the export, with the time until which the history lacks events there. */
  private readonly gaps: { from: number; to: number; until: number }[] = [];
  /** One copy of each text that many events have. */
  private readonly texts = new Map<string, string>();

  /**
   * Reads and verifies an export in one reading.
   *
   * @throws ExportError if it does not verify
   */
  async read(
    chunks: AsyncIterable<Uint8Array>,
    keys: readonly VerifierKey[],
    former: readonly (readonly VerifierKey[])[],
    onLines: (lines: number) => void,
  ): Promise<ProvedExport> {
    const onProgress = (_bytes: number, lines: number): void => {
      onLines(lines);
    };
    const read = passLines(chunks, (text, number) => {
      this.readLine(text, number);
    });
    return verifyExport(read, keys, { former, onProgress });
  }

  /** Call it when all exports are read. @param archives the months that have left the database */
  settle(archives: readonly Pick<AuditArchiveEntity, 'fromLeaf' | 'toLeaf' | 'upperId'>[]): void {
    const left = archives.map(({ fromLeaf: from, toLeaf: to, upperId }) => ({ from, to, until: parseIdTime(upperId) }));
    for (const { from, to, until } of [...this.gaps, ...left]) {
      if (this.events.findGap(from, to) !== undefined) this.completeSince = Math.max(this.completeSince, until);
    }
  }

  complete(subject: string, uid: string | null, history: RowHistory): void {
    const told = this.told.get(subject);
    if (told) history.addHistory(told.history);
    const user = history.newest?.user ?? uid;
    const erasure = user === null ? undefined : this.erasures.get(user);
    if (erasure) history.add(erasure);
  }

  /** Forgets rows that are there. */
  forget(subjects: readonly string[]): void {
    for (const subject of subjects) this.told.delete(subject);
  }

  /** The rows of a table that were not forgotten and whose user was not erased. */
  *listRemaining(table: ToldRow['table']): Generator<ToldRow> {
    for (const row of this.told.values()) {
      const user = row.history.newest?.user ?? '';
      if (row.table === table && !this.erasures.has(user)) yield row;
    }
  }

  /** The passkeys that are revoked or suspended by the last event about their status. */
  *listEnded(): Generator<EndedPasskey> {
    for (const { subject: id, rpId, history } of this.told.values()) {
      const { status, revocation, transition } = history;
      const event = revocation ?? transition;
      if (event && (status === 'revoked' || status === 'suspended')) yield { id, rpId, status, event };
    }
  }

  /** The erased users, each with the passkeys that the exports name. */
  listErased(): ErasedUser[] {
    const users = new Map([...this.erasures].map(([uid, event]) => [uid, { uid, event, passkeys: [] as ToldRow[] }]));
    for (const row of this.told.values()) users.get(row.history.newest?.user ?? '')?.passkeys.push(row);
    return [...users.values()];
  }

  private readLine(text: string, number: number): void {
    let line: ExportLine;
    try {
      line = JSON.parse(text) as ExportLine;
      if (line.kind === 'proof') return;
      const until = line.event?.time ?? (line.eventId === undefined ? Infinity : parseIdTime(line.eventId));
      if (number === 1 && line.leafIndex > 0) this.addGap(0, line.leafIndex, until);
      if (line.event === undefined) this.addGap(line.leafIndex, line.leafIndex + 1, until);
      else this.addEvent(line.leafIndex, line.event);
    } catch {
      throw new ExportError('is not an event, an erased event or the proof', number);
    }
  }

  private addGap(from: number, to: number, until: number): void {
    const last = this.gaps.at(-1);
    if (last?.to !== from) this.gaps.push({ from, to, until });
    else Object.assign(last, { to, until: Math.max(last.until, until) });
  }

  private addEvent(leaf: number, { metadata, status, entity, unmapped }: NonNullable<ExportLine['event']>): void {
    this.events.add(leaf);
    const {
      credential,
      credential_version,
      rp_id: rpId = '',
      status: imported,
      status_reason: reason,
      version,
    } = unmapped;
    if (status !== 'Success' || !(TELLING.has(metadata.event_code) || credential_version !== undefined)) return;
    const type = this.share(metadata.event_code);
    const user = (type === ERASURE_TYPE ? entity?.uid : credential?.user_uid) ?? null;
    const ofCredential = credential?.uid !== undefined;
    const change = {
      id: metadata.uid,
      type,
      leaf,
      user,
      version: (ofCredential ? credential_version : version) ?? null,
      ...(metadata.event_code === IMPORT_TYPE && imported !== undefined && { status: this.share(imported) }),
      ...(reason !== undefined && { reason: this.share(reason) }),
    };
    if (type === ERASURE_TYPE) {
      if (user !== null) this.erasures.set(user, change);
      return;
    }
    const subject = credential?.uid ?? rpId;
    const table = ofCredential ? 'credential' : 'relying_party';
    const known = this.told.get(subject) ?? { table, subject, rpId: this.share(rpId), history: new RowHistory() };
    known.history.add(change);
    this.told.set(subject, known);
  }

  private share(text: string): string {
    const shared = this.texts.get(text);
    if (shared === undefined) this.texts.set(text, text);
    return shared ?? text;
  }
}
