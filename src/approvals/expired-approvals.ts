import {
  type BeforeApplicationShutdown,
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { AuditService } from '../audit/audit.service.js';
import { CLOCK, type Clock } from '../config/clock.js';
import { RepeatedWork } from '../config/repeated-work.js';
import { ApprovalSeal } from './approval-seal.js';
import { ApprovalEntity } from './approval.entity.js';
import { ApprovalRepository } from './approval.repository.js';

const INTERVAL_MS = 10_000;
/** How long a request can be read after it ended. */
const KEPT_MS = 30 * 86_400_000;

/** Ends requests that nobody decided in time, and deletes old ones. Every process does this, and none waits for another. */
@Injectable()
export class ExpiredApprovals implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger(ExpiredApprovals.name);
  private readonly work = new RepeatedWork(
    async () => {
      while ((await this.expire()) > 0);
      await this.approvals.deleteEnded(new Date(this.clock.now().getTime() - KEPT_MS));
    },
    (error) => {
      this.logger.warn({ message: 'requests for approval were not expired', error });
    },
  );

  constructor(
    private readonly approvals: ApprovalRepository,
    private readonly seal: ApprovalSeal,
    private readonly audit: AuditService,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  onApplicationBootstrap(): void {
    this.work.begin(INTERVAL_MS);
  }

  beforeApplicationShutdown(): Promise<void> {
    return this.work.end();
  }

  /**
   * Marks overdue requests as expired, each with its event. A row that fails its integrity check keeps its wrong MAC.
   *
   * @returns the number of requests; more may be left if it is above 0
   */
  expire(): Promise<number> {
    return this.approvals.transaction(async (manager) => {
      const decidedAt = this.clock.now();
      const overdue = await this.approvals.lockOverdue(manager, decidedAt);
      for (const approval of overdue) {
        const { id, permission, requestedBy } = approval;
        const rpId = approval.rpId ?? undefined;
        const isGenuine = this.seal.isGenuine(approval);
        Object.assign(approval, { status: 'expired', decidedAt });
        const { status, mac } = isGenuine ? this.seal.seal(approval) : approval;
        await manager.update(ApprovalEntity, { id }, { status, decidedAt, mac });
        const facts = { requested_permission: permission, requested_by: requestedBy };
        const type = isGenuine ? 'approval.expire' : 'approval.tampered';
        const outcome = isGenuine ? 'success' : 'failure';
        await this.audit.record(null, { type, outcome, rpId, approvalId: id, facts }, manager);
      }
      return overdue.length;
    });
  }
}
