import { Inject, Injectable, Logger } from '@nestjs/common';
import { AccessService } from '../access/access.service.js';
import { CLOCK, type Clock } from '../config/clock.js';
import { Problem } from '../http/problem.js';
import type { AuthorizedContext } from '../http/request-context.js';
import { UUID } from '../http/validators.js';
import { Metrics } from '../telemetry/metrics.js';
import { MOST_SETS, type PollDto, type PollResponse } from './dto/poll.dto.js';
import { SET_ERRORS } from './push-answer.js';
import { buildSetClaims } from './set.js';
import { SignalKeys } from './signal-keys.js';
import { SignalRepository } from './signal.repository.js';
import { POLL, type StreamEntity } from './stream.entity.js';
import { StreamsService } from './streams.service.js';
import { WaitingPolls } from './waiting-polls.js';

/** The most SETs of an answer for which the receiver names no number. */
const DEFAULT_SETS = 100;
/** How long an answer without SETs waits for one: milliseconds. Clients give up after ten seconds, as ours does. */
const PATIENCE_MS = 8_000;

/** Why a receiver refuses a SET; `invalid_state` is of SSF 1.0 §8.1.4.1. */
const ERRORS: ReadonlySet<unknown> = new Set([...SET_ERRORS, 'invalid_state']);

/** Hands signals to receivers that poll, and keeps each until it is acknowledged (RFC 8936). */
@Injectable()
export class PollsService {
  private readonly logger = new Logger(PollsService.name);

  constructor(
    private readonly streams: StreamsService,
    private readonly signals: SignalRepository,
    private readonly waiting: WaitingPolls,
    private readonly keys: SignalKeys,
    private readonly access: AccessService,
    private readonly metrics: Metrics,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /**
   * @param wait is called when the request begins to wait, and returns what ends when the caller has gone
   * @throws Problem stream-unknown; permission-denied if the policy changes while it waits
   */
  async poll(
    context: AuthorizedContext,
    id: string,
    { maxEvents = DEFAULT_SETS, returnImmediately, ack = [], setErrs = {} }: PollDto,
    wait: () => AbortSignal,
  ): Promise<PollResponse> {
    let stream = await this.findPolled(context, id);
    await this.acknowledge(stream, ack, setErrs);
    const most = Math.min(maxEvents, MOST_SETS);
    // With `maxEvents` 0 it waits, too, and then returns none: RFC 8936 §2.4.2.
    let found = await this.list(context, stream, most);
    const until = performance.now() + PATIENCE_MS;
    while (found.length === 0 && returnImmediately !== true) {
      const gone = wait();
      await this.waiting.wait(stream.id, until - performance.now(), gone);
      if (!(await this.access.isStillAllowed(context, 'events:receive'))) throw new Problem('permission-denied');
      stream = await this.findPolled(context, id);
      found = await this.list(context, stream, most);
      if (gone.aborted || this.waiting.isEnding || performance.now() >= until) break;
    }
    const sent = found.slice(0, most);
    const sets = await Promise.all(
      sent.map(async (signal) => [
        signal.id,
        await this.keys.sign(buildSetClaims(signal, stream, this.keys.issuer), stream),
      ]),
    );
    const now = this.clock.now().getTime();
    for (const { happenedAt } of sent)
      this.metrics.signals.delay.observe(Math.max(0, now - happenedAt.getTime()) / 1_000);
    return { sets: Object.fromEntries(sets) as Record<string, string>, moreAvailable: found.length > most };
  }

  private async findPolled(context: AuthorizedContext, id: string): Promise<StreamEntity> {
    const stream = await this.streams.find(context, id);
    if (stream.deliveryMethod !== POLL) throw new Problem('stream-unknown', { detail: 'the stream is pushed' });
    return stream;
  }

  /** Lists one signal more than `most`, which tells that there are more. The policy may have changed since the request began. */
  private list(
    { caller }: AuthorizedContext,
    stream: StreamEntity,
    most: number,
  ): ReturnType<SignalRepository['list']> {
    const { relyingParties = [] } = this.access.findReceiver(caller.spiffeId) ?? {};
    return this.signals.list(stream, relyingParties, most + 1);
  }

  /** Deletes what the receiver has, and what it refuses: RFC 8936 §2.4 delivers neither again. */
  private async acknowledge(
    { id }: StreamEntity,
    ack: readonly string[],
    errors: PollDto['setErrs'] = {},
  ): Promise<void> {
    const acknowledged = await this.signals.acknowledge(id, ack.filter(isUuid));
    this.metrics.signals.acknowledged.inc(acknowledged.length);
    for (const jti of await this.signals.acknowledge(id, Object.keys(errors).filter(isUuid))) {
      const { err, description } = (errors[jti] ?? {}) as Readonly<Record<string, unknown>>;
      const reason = ERRORS.has(err) ? String(err) : 'other';
      this.metrics.signals.errors.inc({ err: reason });
      const told = typeof description === 'string' ? description.slice(0, 256) : undefined;
      this.logger.warn({ message: 'a receiver refuses a signal', stream: id, jti, err: reason, description: told });
    }
  }
}

const isUuid = (text: string): boolean => UUID.test(text);
