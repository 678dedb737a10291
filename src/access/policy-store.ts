import { type OnModuleDestroy, Inject, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { AuditService } from '../audit/audit.service.js';
import { ReloadReporter } from '../audit/reload-reporter.js';
import { CONFIG, type Config } from '../config/config.js';
import { readBounded } from '../config/read-bounded.js';
import { WatchedFiles } from '../config/watched-files.js';
import { Metrics } from '../telemetry/metrics.js';
import { type AccessPolicy, AccessPolicyError, type Denial, type Grant, parseAccessPolicy } from './access-policy.js';

export const POLICY_FILES = Symbol('WatchedFiles<AccessPolicy>');

/** Enough for some 1,500 services, which take half a second to parse. The process answers nothing during that time. */
const MAX_FILE_BYTES = 256 * 1_024;

/**
 * Opens the file of the access policy. A new file applies from the next request on, also on live connections. A file
 * with a mistake or another trust domain changes nothing.
 *
 * @throws AccessPolicyError when the first policy cannot be used
 */
export function openPolicyFile(path: string): Promise<WatchedFiles<AccessPolicy>> {
  return WatchedFiles.open([path], async (held) => {
    const policy = parseAccessPolicy(await readPolicyFile(path));
    if (!held) return policy;
    if (policy.trustDomain !== held.trustDomain) {
      throw new AccessPolicyError(['trustDomain cannot change while the service runs: restart it']);
    }
    return policy.digest === held.digest ? held : policy;
  });
}

async function readPolicyFile(path: string): Promise<string> {
  try {
    return (await readBounded(path, MAX_FILE_BYTES)).toString('utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new AccessPolicyError([`the file ${code ?? message}`]);
  }
}

@Injectable()
export class PolicyStore implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly reloads: ReloadReporter;

  constructor(
    @Inject(POLICY_FILES) private readonly files: WatchedFiles<AccessPolicy>,
    audit: AuditService,
    metrics: Metrics,
    @Inject(CONFIG) config: Pick<Config, 'worker'>,
  ) {
    this.reloads = new ReloadReporter('policy.reload', audit, metrics, config);
  }

  get policy(): AccessPolicy {
    return this.files.value;
  }

  /** The reason why the newest file is not used. */
  get refused(): string | undefined {
    return this.files.refused;
  }

  onApplicationBootstrap(): void {
    this.files.watch({
      onReloaded: (policy, previous, files) => {
        this.reloads.reportSuccess(files, { digest: policy.digest, ...describeChange(previous, policy) });
      },
      onRefused: (detail) => {
        this.reloads.reportFailure(detail, { digest: this.policy.digest });
      },
    });
  }

  async onModuleDestroy(): Promise<void> {
    await this.files.close();
  }
}

/**
 * Tells an auditor which callers a change of policy added, which it removed and whose rights it changed, and what needs an
 * approval now or no longer.
 */
function describeChange(previous: AccessPolicy, policy: AccessPolicy): Record<string, unknown> {
  const ids = (from: AccessPolicy, without: AccessPolicy): string[] =>
    [...from.grants.keys()].filter((id) => !without.grants.has(id));
  return {
    previous_digest: previous.digest,
    added: ids(policy, previous),
    removed: ids(previous, policy),
    changed: [...policy.grants.values()]
      .filter(
        (grant) =>
          previous.grants.has(grant.id) && serializeRights(grant) !== serializeRights(previous.grants.get(grant.id)!),
      )
      .map(({ id }) => id),
    denials_added: listMissingDenials(policy.deny, previous.deny),
    denials_removed: listMissingDenials(previous.deny, policy.deny),
    approvals_added: listMissingApprovals(policy, previous),
    approvals_removed: listMissingApprovals(previous, policy),
  };
}

function listMissingApprovals({ approvals }: AccessPolicy, other: AccessPolicy): string[] {
  return [...(approvals?.permissions ?? [])].filter((permission) => !other.approvals?.permissions.has(permission));
}

function listMissingDenials(denials: readonly Denial[], others: readonly Denial[]): string[] {
  const known = new Set(others.map(formatDenial));
  return denials.map(formatDenial).filter((denial) => !known.has(denial));
}

/** Writes a denial as the policy has it: `serial: 5f3a`. */
function formatDenial(denial: Denial): string {
  return Object.entries(denial)
    .map(([key, value]) => `${key}: ${String(value)}`)
    .join();
}

function serializeRights({ permissions, ...grant }: Grant): string {
  return JSON.stringify([[...permissions].sort(), grant]);
}
