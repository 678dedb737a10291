import { Inject, Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AccessService } from '../access/access.service.js';
import type { AuditEntry } from '../audit/audit-entry.js';
import { AuditService } from '../audit/audit.service.js';
import { CLOCK, type Clock } from '../config/clock.js';
import { CONFIG, type Config } from '../config/config.js';
import { makeUuidv7 } from '../config/random.js';
import { Problem } from '../http/problem.js';
import type { AuthorizedContext } from '../http/request-context.js';
import { UUID } from '../http/validators.js';
import { type ChosenDelivery, Deliveries } from './deliveries.js';
import type { ChangeStreamDto, ChangeStreamStatusDto, CreateStreamDto, DeliveryDto } from './dto/stream.dto.js';
import { SignalKeys } from './signal-keys.js';
import { SignalRepository } from './signal.repository.js';
import {
  chooseAll,
  chooseSome,
  demandSupplied,
  describeStream,
  MIN_VERIFICATION_INTERVAL,
  type StreamConfiguration,
} from './stream-configuration.js';
import type { StreamEntity } from './stream.entity.js';
import { getInactivitySeconds } from './stream-upkeep.js';
import { StreamRepository } from './stream.repository.js';

/** The most streams of one identity. */
const MOST_STREAMS = 8;
/** `active_at` is as exact as this: milliseconds. */
const ACTIVITY_MS = 60_000;

/** SSF 1.0 §8.1.2.1. */
export interface StreamState {
  readonly stream_id: string;
  readonly status: string;
  readonly reason?: string;
}

/**
 * Event streams (SSF 1.0 §8.1): a receiver makes, reads, changes and deletes its own. The stream of another identity does not
 * exist for it. Which audience and which relying parties a stream has is decided by the access policy.
 */
@Injectable()
export class StreamsService {
  private readonly inactivitySeconds: number;

  constructor(
    private readonly streams: StreamRepository,
    private readonly signals: SignalRepository,
    private readonly keys: SignalKeys,
    private readonly deliveries: Deliveries,
    private readonly access: AccessService,
    private readonly audit: AuditService,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(CONFIG) config: Pick<Config, 'signalLimits'>,
  ) {
    this.inactivitySeconds = getInactivitySeconds(config.signalLimits);
  }

  /** @throws Problem stream-limit, request-malformed, signals-not-configured */
  async create(context: AuthorizedContext, wanted: CreateStreamDto): Promise<StreamConfiguration> {
    const { issuer } = this.keys;
    const owner = context.caller.spiffeId;
    const now = this.clock.now();
    const id = makeUuidv7(now);
    const stream: StreamEntity = {
      ...chooseAll(wanted, (delivery) => this.deliveries.choose(id, delivery), this.keys.chooseAlgorithm),
      id,
      owner,
      aud: this.access.findAudience(owner),
      relyingParties: context.relyingParties && [...context.relyingParties],
      status: 'enabled',
      statusReason: null,
      createdAt: now,
      updatedAt: now,
      activeAt: now,
      verifiedAt: null,
      droppedAt: null,
    };
    await this.streams.transaction(async (manager) => {
      if ((await this.streams.countForCreation(manager, owner)) >= MOST_STREAMS) {
        const detail = `an identity may have ${String(MOST_STREAMS)} streams; change or delete one of them`;
        throw new Problem('stream-limit', { detail });
      }
      await this.streams.insert(manager, stream);
      await this.record(manager, context, 'signal-stream.create', stream, describeFacts(stream));
    });
    return describeStream(stream, issuer, this.inactivitySeconds);
  }

  /** Lists the caller's streams, the oldest first. */
  async list(context: AuthorizedContext): Promise<StreamConfiguration[]> {
    const streams = await this.streams.list(context.caller.spiffeId);
    const used = await Promise.all(streams.map((stream) => this.use(context, stream)));
    return used.map((stream) => describeStream(stream, this.keys.issuer, this.inactivitySeconds));
  }

  /** @throws Problem stream-unknown */
  async get(context: AuthorizedContext, id: string): Promise<StreamConfiguration> {
    return describeStream(await this.find(context, id), this.keys.issuer, this.inactivitySeconds);
  }

  /**
   * Changes what the receiver supplies (§8.1.1.3).
   *
   * @param isReplaced true: what is missing is reset (§8.1.1.4)
   * @throws Problem stream-unknown, request-malformed
   */
  async change(context: AuthorizedContext, wanted: ChangeStreamDto, isReplaced: boolean): Promise<StreamConfiguration> {
    const { issuer } = this.keys;
    await this.find(context, wanted.stream_id);
    const stream = await this.changeLocked(context, wanted.stream_id, async (manager, present) => {
      demandSupplied(wanted, describeStream(present, issuer, this.inactivitySeconds));
      const choose = (delivery?: DeliveryDto): ChosenDelivery =>
        this.deliveries.choose(present.id, delivery, isReplaced ? undefined : present);
      const chosen = (isReplaced ? chooseAll : chooseSome)(wanted, choose, this.keys.chooseAlgorithm);
      const changed = { ...chosen, updatedAt: this.clock.now() };
      await this.streams.update(present, changed, manager);
      const after = Object.assign(present, changed);
      await this.record(manager, context, 'signal-stream.update', after, describeFacts(after));
      return after;
    });
    return describeStream(stream, issuer, this.inactivitySeconds);
  }

  /** Deletes a stream with everything that it has not delivered. @throws Problem stream-unknown */
  async delete(context: AuthorizedContext, id: string): Promise<void> {
    await this.changeLocked(context, id, async (manager, stream) => {
      await this.streams.delete(manager, stream.id);
      await this.signals.deleteAll(manager, stream.id);
      await this.record(manager, context, 'signal-stream.delete', stream, {});
    });
  }

  /** @throws Problem stream-unknown */
  async getStatus(context: AuthorizedContext, id: string): Promise<StreamState> {
    return describeState(await this.find(context, id));
  }

  /**
   * Sets the status that the receiver wants (§8.1.2.2). A disabled stream forgets what it has not delivered.
   *
   * @throws Problem stream-unknown
   */
  async setStatus(
    context: AuthorizedContext,
    { stream_id: id, status, reason }: ChangeStreamStatusDto,
  ): Promise<StreamState> {
    await this.find(context, id);
    const stream = await this.changeLocked(context, id, async (manager, present) => {
      const before = present.status;
      const changed = { status, statusReason: reason || null, updatedAt: this.clock.now() };
      await this.streams.update(present, changed, manager);
      if (status === 'disabled') await this.signals.deleteAll(manager, present.id);
      const facts = { status_before: before, status, status_reason: reason };
      await this.record(manager, context, 'signal-stream.update', present, facts);
      return Object.assign(present, changed);
    });
    return describeState(stream);
  }

  /**
   * Sends a verification event (§8.1.4.2), unless the stream is disabled.
   *
   * @param state is echoed
   * @throws Problem stream-unknown; rate-limited before the interval is over
   */
  async verify(context: AuthorizedContext, id: string, state: string | undefined): Promise<void> {
    await this.find(context, id);
    await this.changeLocked(context, id, async (manager, stream) => {
      const happenedAt = this.clock.now();
      const since = (happenedAt.getTime() - (stream.verifiedAt?.getTime() ?? 0)) / 1_000;
      if (since >= 0 && since < MIN_VERIFICATION_INTERVAL) {
        const detail = `a stream is verified every ${String(MIN_VERIFICATION_INTERVAL)} seconds at most`;
        throw new Problem('rate-limited', { retryAfter: Math.ceil(MIN_VERIFICATION_INTERVAL - since), detail });
      }
      await this.streams.update(stream, { verifiedAt: happenedAt }, manager);
      if (stream.status === 'disabled') return;
      const facts = state === undefined ? {} : { state };
      const signal = { kind: 'verification', facts, txn: context.requestId, happenedAt } as const;
      await this.signals.writeOwn(manager, stream.id, signal);
    });
  }

  /** Finds a stream of the caller, and notes that the caller uses it. @throws Problem stream-unknown */
  async find(context: AuthorizedContext, id: string): Promise<StreamEntity> {
    const stream = UUID.test(id) ? await this.streams.find(context.caller.spiffeId, id) : null;
    if (!stream) throw new Problem('stream-unknown');
    return this.use(context, stream);
  }

  /** Locks a stream of the caller, and changes it in a transaction. @throws Problem stream-unknown */
  changeLocked<Result>(
    context: AuthorizedContext,
    id: string,
    change: (manager: EntityManager, stream: StreamEntity) => Promise<Result>,
  ): Promise<Result> {
    return this.streams.transaction(async (manager) => {
      const stream = UUID.test(id) ? await this.streams.lock(manager, context.caller.spiffeId, id) : null;
      if (!stream) throw new Problem('stream-unknown');
      return change(manager, stream);
    });
  }

  /** The stream hears of the relying parties that the policy says now; what it has of others goes. */
  private async use(context: AuthorizedContext, stream: StreamEntity): Promise<StreamEntity> {
    const now = this.clock.now();
    const relyingParties = context.relyingParties && [...context.relyingParties];
    const isAligned = JSON.stringify(relyingParties) === JSON.stringify(stream.relyingParties);
    const isNoted = Math.abs(now.getTime() - stream.activeAt.getTime()) < ACTIVITY_MS;
    if (isAligned && isNoted) return stream;
    const used = { activeAt: now, relyingParties };
    await this.streams.transaction(async (manager) => {
      await this.streams.update(stream, used, manager);
      if (relyingParties) await this.signals.dropDenied(manager, stream.id, relyingParties);
    });
    return Object.assign(stream, used);
  }

  private async record(
    manager: EntityManager,
    context: AuthorizedContext,
    type: AuditEntry['type'],
    { id: streamId }: StreamEntity,
    facts: Readonly<Record<string, unknown>>,
  ): Promise<void> {
    await this.audit.record(context, { type, outcome: 'success', streamId, facts }, manager);
  }
}

function describeFacts({
  aud,
  relyingParties,
  eventsDelivered,
  deliveryMethod,
  endpointUrl,
}: StreamEntity): Record<string, unknown> {
  return {
    audience: aud,
    relying_parties: relyingParties ?? undefined,
    events_delivered: eventsDelivered,
    delivery_method: deliveryMethod,
    endpoint_url: endpointUrl ?? undefined,
  };
}

function describeState({ id, status, statusReason }: StreamEntity): StreamState {
  return { stream_id: id, status, ...(statusReason !== null && { reason: statusReason }) };
}
