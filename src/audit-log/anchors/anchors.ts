import { Inject, Injectable, type OnModuleDestroy } from '@nestjs/common';
import { CONFIG, type Config } from '../../config/config.js';
import { Metrics } from '../../telemetry/metrics.js';
import { Anchor, type AnchoredCheckpoint, type AnchorTarget } from './anchor.js';
import { AnchorFile } from './anchor-file.js';
import { AnchorUrl } from './anchor-url.js';

/** State of an anchor, for operators. */
export interface AnchorState {
  readonly anchor: AnchorTarget['name'];
  /** Size of the last anchored checkpoint in leaves (0 before the first one), and when it was signed. */
  readonly size: number;
  readonly checkpointAt: string | undefined;
  readonly failure: string | undefined;
}

/**
 * Delivers checkpoints to storage that the service does not control, so that anyone who has its keys and its database
 * cannot rewrite the log unnoticed. No request waits for a delivery.
 */
@Injectable()
export class Anchors implements OnModuleDestroy {
  private readonly anchors: readonly Anchor[];

  constructor(
    @Inject(CONFIG) { auditAnchorFile, auditAnchorUrl }: Pick<Config, 'auditAnchorFile' | 'auditAnchorUrl'>,
    metrics: Metrics,
  ) {
    const targets: AnchorTarget[] = [];
    if (auditAnchorFile !== undefined) targets.push(new AnchorFile(auditAnchorFile));
    if (auditAnchorUrl !== undefined) targets.push(new AnchorUrl(auditAnchorUrl));
    this.anchors = targets.map((target) => {
      const gauge = metrics.anchoredCheckpoint.labels({ anchor: target.name });
      gauge.set(0);
      return new Anchor(target, ({ createdAt }) => {
        gauge.set(createdAt.getTime() / 1_000);
      });
    });
  }

  push(checkpoint: AnchoredCheckpoint): void {
    for (const anchor of this.anchors) anchor.push(checkpoint);
  }

  /** Returns undefined if no anchor is configured. */
  getState(): readonly AnchorState[] | undefined {
    if (this.anchors.length === 0) return undefined;
    return this.anchors.map(({ target, anchored, failure }) => {
      const { size = 0, createdAt } = anchored ?? {};
      return { anchor: target.name, size, checkpointAt: createdAt?.toISOString(), failure };
    });
  }

  async onModuleDestroy(): Promise<void> {
    await Promise.all(this.anchors.map((anchor) => anchor.close()));
  }
}
