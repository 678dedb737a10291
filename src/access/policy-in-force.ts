import { readFile } from 'node:fs/promises';
import { type OnModuleDestroy, Inject, Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { AuditService } from '../audit/audit.service.js';
import { WatchedFiles } from '../config/watched-files.js';
import { Metrics } from '../telemetry/metrics.js';
import { type AccessPolicy, AccessPolicyError, type Grant, parseAccessPolicy } from './access-policy.js';

export const POLICY_FILES = Symbol('WatchedFiles<AccessPolicy>');

/**
 * The access policy in the file, which every decision asks for. A new file is in force for the next request, on live
 * connections too; one with a mistake, or of another trust domain, changes nothing.
 *
 * @throws AccessPolicyError when the first policy cannot be used
 */
export function watchedPolicy(path: string): Promise<WatchedFiles<AccessPolicy>> {
  return WatchedFiles.open([path], async (held) => {
    const policy = parseAccessPolicy(await readFile(path, 'utf8'));
    if (!held) return policy;
    if (policy.trustDomain !== held.trustDomain) {
      throw new AccessPolicyError(['trustDomain cannot change while the service runs: restart it']);
    }
    return policy.digest === held.digest ? held : policy;
  });
}

@Injectable()
export class PolicyInForce implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger(PolicyInForce.name);

  constructor(
    @Inject(POLICY_FILES) private readonly files: WatchedFiles<AccessPolicy>,
    private readonly audit: AuditService,
    private readonly metrics: Metrics,
  ) {}

  get policy(): AccessPolicy {
    return this.files.value;
  }

  /** Why the file that lies there now is not in force. */
  get refused(): string | undefined {
    return this.files.refused;
  }

  onApplicationBootstrap(): void {
    this.files.watch({
      taken: (policy, previous) => {
        this.report('success', { facts: { digest: policy.digest, ...difference(previous, policy) } });
        this.logger.log({ message: 'a new access policy is in force', digest: policy.digest });
      },
      refused: (detail) => {
        this.report('failure', {
          reason: 'unusable',
          detail: detail.slice(0, 500),
          facts: { digest: this.policy.digest },
        });
        this.logger.error({ message: 'the access policy cannot be used; the old one stays in force', reason: detail });
      },
    });
  }

  async onModuleDestroy(): Promise<void> {
    await this.files.close();
  }

  private report(outcome: 'success' | 'failure', members: { reason?: string; detail?: string; facts: object }): void {
    this.metrics.reloads.inc({ what: 'policy', outcome });
    const { facts, ...rest } = members;
    this.audit.recordEventually({ type: 'policy.reload', outcome, ...rest, facts: { ...facts } });
  }
}

/** What an auditor asks about a change of policy: whom it let in, whom it shut out, and whose rights it changed. */
function difference(previous: AccessPolicy, policy: AccessPolicy): Record<string, unknown> {
  const ids = (from: AccessPolicy, without: AccessPolicy): string[] =>
    [...from.grants.keys()].filter((id) => !without.grants.has(id));
  return {
    previous_digest: previous.digest,
    added: ids(policy, previous),
    removed: ids(previous, policy),
    changed: [...policy.grants.values()]
      .filter((grant) => previous.grants.has(grant.id) && rightsOf(grant) !== rightsOf(previous.grants.get(grant.id)!))
      .map(({ id }) => id),
    denied: policy.deny.length,
  };
}

function rightsOf({ permissions, ...grant }: Grant): string {
  return JSON.stringify([[...permissions].sort(), grant]);
}
