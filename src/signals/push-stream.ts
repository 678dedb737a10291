import { Inject, Injectable, Logger } from '@nestjs/common';
import { AccessService } from '../access/access.service.js';
import { AuditService } from '../audit/audit.service.js';
import { CLOCK, type Clock } from '../config/clock.js';
import { PushError, PushSender } from '../push/push-sender.js';
import { Metrics } from '../telemetry/metrics.js';
import { AuthorizationSeal, type SealFault } from './authorization-seal.js';
import { judgeAnswer, type PushOutcome } from './push-answer.js';
import { type PushedStream, PushRepository } from './push.repository.js';
import { buildSetClaims } from './set.js';
import type { SignalEntity } from './signal.entity.js';
import { SignalKeys } from './signal-keys.js';

/** How fast a replica pushes, and how long it tries. */
export interface PushTiming {
  /** The pause between two looks for streams that are due. */
  readonly turnMs: number;
  /** Longer than a push and the time since the last renewal: no other replica pushes meanwhile. */
  readonly leaseMs: number;
  readonly renewalMs: number;
  /** The pause after the first failure. It doubles with each further one, and is then shortened at random by up to half. */
  readonly backoffMs: number;
  /** Also the longest `Retry-After` that is heeded. */
  readonly maxBackoffMs: number;
  /** A stream whose pushes have failed for so long is paused. */
  readonly deadAfterMs: number;
  /** How long running pushes may take when the service ends. */
  readonly lastMs: number;
}

export const PUSH_TIMING: PushTiming = {
  turnMs: 500,
  leaseMs: 20_000,
  renewalMs: 5_000,
  backoffMs: 1_000,
  maxBackoffMs: 300_000,
  deadAfterMs: 86_400_000,
  lastMs: 2_000,
};

/** So many SETs of different subjects are under way to one receiver. */
const CONCURRENCY = 8;
const BATCH = 64;

/** The end of the service. */
export interface EndSignals {
  /** No further push begins. */
  readonly soon: AbortSignal;
  /** The running pushes end, too. */
  readonly now: AbortSignal;
}

/** A failure pauses the stream at once if it is final: nothing but a change of the stream helps. */
type Failure = Extract<PushOutcome, { kind: 'failed' }> & { readonly isFinal?: true };

/**
 * Pushes the signals of one stream while this replica has its lease (RFC 8935). The SETs of a subject go one after the other, each
 * after the answer to the one before; a failure ends the turn, so none overtakes another. A signal is deleted when its receiver has
 * accepted it. If the service ends between the two, it is pushed again: at least once, with the same `jti`.
 */
@Injectable()
export class StreamPusher {
  timing = PUSH_TIMING;
  private readonly logger = new Logger(StreamPusher.name);

  constructor(
    private readonly streams: PushRepository,
    private readonly keys: SignalKeys,
    private readonly seal: AuthorizationSeal,
    private readonly sender: PushSender,
    private readonly access: AccessService,
    private readonly audit: AuditService,
    private readonly metrics: Metrics,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /** Pushes what waits, and gives the lease back. */
  async push(stream: PushedStream, holder: string, end: EndSignals): Promise<void> {
    const turn = new Turn(stream, holder, end, this.timing, this.streams);
    let failure: Failure | undefined;
    while (failure === undefined && (await turn.mayGoOn())) {
      const signals = await this.streams.listSignals(stream.id, BATCH);
      if (signals.length === 0) break;
      failure = await this.pushBatch(turn, signals);
    }
    if (failure) await this.noteFailure(turn, failure);
    else await this.streams.release(stream.id, holder, turn.hasSucceeded ? this.clock.now() : null);
  }

  private async pushBatch(turn: Turn, signals: readonly SignalEntity[]): Promise<Failure | undefined> {
    const subjects = Map.groupBy(signals, ({ rpId, userId }) => JSON.stringify([rpId, userId])).values();
    let failure: Failure | undefined;
    const pushSubjects = async (): Promise<void> => {
      for (const ofSubject of subjects) {
        for (const signal of ofSubject) {
          if (failure !== undefined || !(await turn.mayGoOn())) return;
          const outcome = await this.pushSignal(turn, signal);
          if (outcome.kind === 'failed') failure ??= outcome;
        }
      }
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, pushSubjects));
    return failure;
  }

  private async pushSignal(
    turn: Turn,
    signal: SignalEntity,
  ): Promise<PushOutcome | Failure | { readonly kind: 'denied' }> {
    const { stream, holder } = turn;
    // By the policy as it is now: the row may be older, and SQL may have changed it.
    const receiver = this.access.findReceiver(stream.owner);
    if (!receiver) return fail('the access policy does not let the owner of the stream receive signals');
    if (signal.rpId !== null && receiver.relyingParties?.includes(signal.rpId) === false) {
      await this.streams.removeSignal(signal);
      return { kind: 'denied' };
    }
    const outcome = await this.send(turn, signal);
    this.metrics.pushes.sent.inc({ outcome: outcome.kind });
    if (outcome.kind === 'failed') return outcome;
    if (outcome.kind === 'refused') this.reportRefusal(stream, signal, outcome.reason);
    await this.streams.removeSignal(signal);
    if (stream.failures > 0 && !turn.hasSucceeded) await this.streams.noteSuccess(stream.id, holder);
    turn.hasSucceeded = true;
    return outcome;
  }

  private async send({ stream, end }: Turn, signal: SignalEntity): Promise<PushOutcome | Failure> {
    const authorization = await this.openAuthorization(stream);
    if (authorization === 'key-unknown') return fail('the key that sealed its Authorization header is gone');
    if (authorization === 'altered')
      return { ...fail('its Authorization header was sealed for another stream or endpoint_url'), isFinal: true };
    const set = await this.keys.sign(buildSetClaims(signal, stream, this.keys.issuer), stream);
    const headers = { 'content-type': 'application/secevent+jwt', accept: 'application/json', ...authorization };
    try {
      const answer = await this.sender.post({ url: stream.endpointUrl, headers, body: set }, end.now);
      return judgeAnswer(answer, this.clock.now());
    } catch (error) {
      if (error instanceof PushError) return fail(error.message);
      throw error;
    }
  }

  private async openAuthorization(stream: PushedStream): Promise<object | SealFault> {
    const { id, authorization } = stream;
    if (authorization === null) return {};
    const opened = this.seal.open(stream, authorization);
    if (typeof opened === 'string') return opened;
    const renewed = this.seal.renew(stream, authorization);
    if (renewed) await this.streams.replaceAuthorization(id, renewed, authorization);
    return { authorization: opened.header };
  }

  private async noteFailure({ stream, holder, hasSucceeded, end }: Turn, failure: Failure): Promise<void> {
    // What the end of the service interrupts is no fault of the receiver.
    if (end.soon.aborted) return this.streams.release(stream.id, holder, null);
    const { maxBackoffMs, deadAfterMs } = this.timing;
    const backoffMs = computeBackoff(hasSucceeded ? 0 : stream.failures, this.timing);
    const pauseMs = Math.max(backoffMs, Math.min(maxBackoffMs, failure.retryAfterMs ?? 0));
    const state = await this.streams.noteFailure(stream.id, holder, failure.reason, pauseMs);
    if (!state) return;
    const told = { stream: stream.id, owner: stream.owner, reason: failure.reason };
    if (state.failures === 1) this.logger.warn({ message: 'a signal cannot be pushed', ...told });
    if (failure.isFinal !== true && state.secondsFailing * 1_000 < deadAfterMs) return;
    if (!(await this.streams.pause(stream.id, `push failed: ${failure.reason}`, this.clock.now()))) return;
    this.logger.error({ message: 'a stream is paused: its pushes fail', ...told });
    this.metrics.pushes.pausedStreams.inc();
    this.audit.recordEventually({
      type: 'signal-stream.update',
      outcome: 'success',
      reason: 'push-failed',
      streamId: stream.id,
      detail: `paused: ${failure.reason}`,
      facts: { owner: stream.owner, status: 'paused', failing_seconds: Math.round(state.secondsFailing) },
    });
  }

  private reportRefusal({ id, owner }: PushedStream, { id: jti, kind, txn, rpId }: SignalEntity, reason: string): void {
    this.logger.warn({ message: 'a receiver refuses a signal for good', stream: id, owner, jti, reason });
    this.audit.recordEventually({
      type: 'signal-stream.drop',
      outcome: 'failure',
      reason: 'push-refused',
      streamId: id,
      rpId: rpId ?? undefined,
      detail: reason,
      facts: { owner, jti, kind, txn, signals: 1 },
    });
  }
}

/** The time in which this replica pushes a stream. */
class Turn {
  hasSucceeded = false;
  private renewedAt = performance.now();
  private renewal: Promise<boolean> | undefined;
  private isOver = false;

  constructor(
    readonly stream: PushedStream,
    readonly holder: string,
    readonly end: EndSignals,
    private readonly timing: PushTiming,
    private readonly streams: PushRepository,
  ) {}

  /** Renews the lease if that is due. @returns false if the service ends, or the stream is not this replica's to push any more */
  async mayGoOn(): Promise<boolean> {
    if (this.end.soon.aborted || this.isOver) return false;
    if (performance.now() - this.renewedAt < this.timing.renewalMs) return true;
    this.renewal ??= this.renew().finally(() => (this.renewal = undefined));
    return this.renewal;
  }

  private async renew(): Promise<boolean> {
    const begun = performance.now();
    const isHeld = await this.streams.renew(this.stream, this.holder, this.timing.leaseMs);
    if (isHeld) this.renewedAt = begun;
    else this.isOver = true;
    return isHeld && !this.end.soon.aborted;
  }
}

function fail(reason: string): Failure {
  return { kind: 'failed', reason, retryAfterMs: undefined };
}

/** @param failures in a row before this one */
export function computeBackoff(failures: number, { backoffMs, maxBackoffMs }: PushTiming): number {
  return Math.min(maxBackoffMs, backoffMs * 2 ** Math.min(failures, 30)) * (0.5 + Math.random() / 2);
}
