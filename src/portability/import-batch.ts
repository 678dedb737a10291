import { randomBytes, randomUUID } from 'node:crypto';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { Inject, Injectable } from '@nestjs/common';
import { AuditService } from '../audit/audit.service.js';
import type { SealedUser } from '../audit/sealed-user.js';
import { UserSeals } from '../audit/user-seals.js';
import { AuthenticatorsService } from '../authenticators/authenticators.service.js';
import { getCredentialCapacity } from '../challenges/credential-capacity.js';
import { UNKNOWN_HANDLE } from '../challenges/held-handle.js';
import { CLOCK, type Clock } from '../config/clock.js';
import { makeUuidv7 } from '../config/random.js';
import { CredentialBindings } from '../credentials/credential-bindings.js';
import { chooseName, type CredentialEntity } from '../credentials/credential.entity.js';
import { readCredential } from '../credentials/loaded-answer.repository.js';
import { isDatabaseUnavailable } from '../http/database-unavailable.js';
import { Problem } from '../http/problem.js';
import type { AuthorizedContext } from '../http/request-context.js';
import { RelyingPartyCopies } from '../relying-parties/relying-party-copies.js';
import type { RelyingPartyEntity } from '../relying-parties/relying-party.entity.js';
import type { CredentialLine } from './credential-line.js';
import type { DryRunMemory } from './dry-run-memory.js';
import { type FoundForLine, ImportRepository } from './import.repository.js';
import { conflict, describeStored, judgeLine, type Known, type Verdict } from './judge-line.js';

export interface Judgement {
  readonly verdict: Verdict;
  readonly problem?: Problem;
}

export interface ImportTask {
  readonly context: AuthorizedContext;
  readonly rpId: string;
  /** undefined: the import is none of a dry run. */
  readonly memory: DryRunMemory | undefined;
}

const UNKNOWN_MODEL = '00000000-0000-0000-0000-000000000000';
/** Rounds in which no line got a verdict, because others change the same users all the time. */
const MOST_FRUITLESS = 5;
/** Attempts of a statement while the database is away, and the milliseconds between them. */
const MOST_ATTEMPTS = 3;
const PAUSE_MS = 1_000;
/** Between so many lines, requests have their turn. */
export const LINES_OF_A_TURN = 8;

/** Judges lines, and stores what nothing is in the way of. */
@Injectable()
export class ImportBatch {
  constructor(
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly parties: RelyingPartyCopies,
    private readonly repository: ImportRepository,
    private readonly bindings: CredentialBindings,
    private readonly users: UserSeals,
    private readonly authenticators: AuthenticatorsService,
    private readonly audit: AuditService,
  ) {}

  /**
   * Each round finds what is stored of the lines that have no verdict, and stores those that nothing is in the way of. A
   * line that is not as it was found, because another one or a sign-in came first, goes to the next round.
   *
   * @returns the judgements of the lines, in their order
   * @throws Problem relying-party-unknown, relying-party-denied
   */
  async run(task: ImportTask, lines: readonly CredentialLine[]): Promise<Judgement[]> {
    const judged = new Map<CredentialLine, Judgement>();
    let fruitless = 0;
    for (let open = lines; open.length > 0 && fruitless < MOST_FRUITLESS;) {
      const before = judged.size;
      try {
        await this.runRound(task, open, judged);
      } catch (error) {
        if (!isDatabaseUnavailable(error)) throw error;
        if (fruitless + 1 >= MOST_ATTEMPTS) break;
        await setTimeout(PAUSE_MS);
      }
      fruitless = judged.size === before ? fruitless + 1 : 0;
      open = lines.filter((line) => !judged.has(line));
    }
    return lines.map((line) => judged.get(line) ?? { verdict: 'unavailable', problem: new Problem('unavailable') });
  }

  private async runRound(
    task: ImportTask,
    lines: readonly CredentialLine[],
    judged: Map<CredentialLine, Judgement>,
  ): Promise<void> {
    const { rpId, memory } = task;
    const party = await this.parties.getEnabled(rpId);
    const most = party.policy.maxCredentialsPerUser;
    const found = await this.repository.find(rpId, lines);
    const stores: Promise<void>[] = [];
    for (const [index, line] of lines.entries()) {
      if (index % LINES_OF_A_TURN === 0) await setImmediate();
      const { stored, user, flaw } = await this.readFound(task, line, found[index]!);
      if (flaw) judged.set(line, flaw);
      if (flaw) continue;
      const known = toKnown(found[index]!, stored, user);
      const judgement = judgeLine(line, memory?.complete(line, known) ?? known, most);
      if (judgement) judged.set(line, judgement);
      else if (memory) {
        memory.add(line);
        judged.set(line, { verdict: 'imported' });
      } else stores.push(this.storeInto(judged, task, party, line, user));
    }
    const results = await Promise.allSettled(stores);
    const failed = results.find((result) => result.status === 'rejected');
    if (failed) {
      // The settings may have changed since they were read.
      this.parties.forget(rpId);
      throw failed.reason;
    }
    if (lines.some((line) => !judged.has(line))) this.parties.forget(rpId);
  }

  /** Reads what was found, and reports rows that something other than the service changed. */
  private async readFound(
    { context, rpId }: ImportTask,
    { userId }: CredentialLine,
    found: FoundForLine,
  ): Promise<{ stored: CredentialEntity | undefined; user: SealedUser | undefined; flaw?: Judgement }> {
    const stored = readCredential(found);
    const { handle, audit_uid: auditUid, user_seal: seal } = found;
    const user = handle && auditUid ? { rpId, userId, handle, auditUid, seal } : undefined;
    const isCredential = !stored || (await this.bindings.verifyRow(context, stored));
    const isUser = !user || (await this.users.verifyRow(context, user));
    if (isCredential && isUser) return { stored, user };
    const detail = 'a record that is stored of it was changed by something other than this service';
    return { stored, user, flaw: conflict([{ pointer: isCredential ? '/userId' : '/credentialId', detail }]) };
  }

  private async storeInto(
    judged: Map<CredentialLine, Judgement>,
    ...[task, party, line, user]: Parameters<ImportBatch['store']>
  ): Promise<void> {
    if (await this.store(task, party, line, user)) judged.set(line, { verdict: 'imported' });
  }

  /** @returns false: something is not as it was found */
  async store(
    { context, rpId }: ImportTask,
    { version, policy }: RelyingPartyEntity,
    line: CredentialLine,
    known: SealedUser | undefined,
  ): Promise<boolean> {
    const now = this.clock.now();
    const newUser = known ? undefined : this.makeUser(rpId, line);
    const user = known ?? newUser!;
    const credential = this.makeCredential(context, user, line, now);
    const event = this.audit.createRow(context, describeImport(credential, line), user.auditUid, now);
    const most = line.status === 'revoked' ? Infinity : getCredentialCapacity(policy.maxCredentialsPerUser);
    const input = { credential, lineHandle: line.userHandle, uid: user.auditUid, newUser, version, most, now, event };
    const isStored = await this.repository.store(input);
    if (isStored) this.audit.countEvent(event);
    return isStored;
  }

  private makeUser(rpId: string, { userId, userHandle }: CredentialLine): SealedUser {
    const user = { rpId, userId, handle: userHandle ?? randomBytes(32), auditUid: randomUUID() };
    return { ...user, seal: this.users.seal(user) };
  }

  private makeCredential(
    { caller }: AuthorizedContext,
    { rpId, handle }: SealedUser,
    line: CredentialLine,
    now: Date,
  ): CredentialEntity {
    const aaguid = line.aaguid ?? UNKNOWN_MODEL;
    const createdAt = line.createdAt ?? now;
    return this.bindings.seal({
      rpId,
      id: line.id ?? makeUuidv7(now),
      userId: line.userId,
      credentialId: line.credentialId,
      publicKey: line.publicKey,
      algorithm: line.algorithm,
      aaguid,
      name: line.name ?? chooseName(this.authenticators.findLabel(aaguid)),
      status: line.status,
      statusReason: line.statusReason,
      statusChangedAt: line.statusChangedAt ?? createdAt,
      attachment: line.attachment,
      transports: line.transports,
      discoverable: line.discoverable,
      backupEligible: line.backupEligible,
      backedUp: line.backedUp,
      userVerified: line.userVerified,
      attestationFormat: line.attestation.format,
      attestationTrust: line.attestation.trust,
      signCount: line.signCount,
      createdAt,
      createdBy: line.createdBy ?? caller.spiffeId,
      lastUsedAt: line.lastUsedAt,
      userHandle: line.userHandle === null ? UNKNOWN_HANDLE : line.userHandle.equals(handle) ? null : line.userHandle,
      browserKeys: line.browserKeys.length === 0 ? null : JSON.stringify(line.browserKeys),
      lastSignInAt: line.lastSignInAt,
      version: 1,
    });
  }
}

function toKnown(found: FoundForLine, stored: CredentialEntity | undefined, user: SealedUser | undefined): Known {
  return {
    credential: stored && describeStored(stored, user),
    handleIsTaken: found.handle_owner !== null,
    idIsTaken: found.id_taken,
    held: found.held,
  };
}

function describeImport(
  credential: CredentialEntity,
  { source }: CredentialLine,
): Parameters<AuditService['createRow']>[1] {
  const { rpId, userId, id, status, algorithm, aaguid, attestationFormat, attestationTrust, backupEligible } =
    credential;
  const { userHandle, version } = credential;
  return {
    type: 'credential.import',
    outcome: 'success',
    rpId,
    userId,
    credential: { id, credentialId: credential.credentialId.toString('base64url') },
    facts: {
      source,
      status,
      algorithm,
      aaguid,
      // The caller says so; nobody here has seen the statement.
      attestation_claimed: `${attestationFormat}/${attestationTrust}`,
      backup_eligible: backupEligible ?? 'unknown',
      user_handle: userHandle === null ? 'of the user' : userHandle.length === 0 ? 'unknown' : 'of the passkey',
      sign_count: credential.signCount,
      created_at: credential.createdAt.toISOString(),
      credential_version: version,
    },
  };
}
