import { Inject, Injectable } from '@nestjs/common';
import { type HealthIndicatorFunction, HealthIndicatorService, type HealthIndicatorResult } from '@nestjs/terminus';
import type { PolicyStore } from '../../access/policy-store.js';
import type { LogState } from '../../audit-log/checkpoint-scheduler.js';
import { isLogFault } from '../../audit-log/log-failures.js';
import type { RootsState } from '../../authenticators/attestation-roots.js';
import type { MetadataState } from '../../authenticators/metadata-file.js';
import { CLOCK, type Clock } from '../../config/clock.js';
import type { SampledRows } from '../../credentials/credential-sample.js';
import type { ListenerBounds } from '../../identity/listener-bounds.js';
import type { ListenerTrust } from '../../identity/listener-trust.js';
import { isListInUse } from '../../identity/select-lists.js';
import type { ReconciliationState } from '../../reconciliation/reconciler.js';
import type { SealRegister } from '../../seals/seal-register.js';
import type { RevocationList } from '../../x509/revocation-list.js';
import type { PushFilesState } from '../../push/push-files.js';
import type { PushState } from '../../signals/push-scheduler.js';
import type { OutboxState } from '../../signals/stream-upkeep.js';
import type { SigningKeysState } from '../../signing-keys/signing-key-file.js';
import { standardOutput } from '../../telemetry/log-output.js';
import { DatabaseProbe } from './database-probe.js';
import { addRunbookPages } from './runbook-pages.js';

/** The state of the files about authenticators; undefined if none is configured. */
export interface AuthenticatorFiles {
  readonly metadata: () => MetadataState | undefined;
  readonly attestationRoots: () => RootsState | undefined;
}
export const AUTHENTICATOR_FILES = Symbol('AuthenticatorFiles');

/** The listener's trust material, the access policy and the connections. */
export type IdentityReading = () => {
  readonly trust: ListenerTrust;
  readonly access: PolicyStore;
  readonly bounds: ListenerBounds;
};
export const IDENTITY = Symbol('IdentityReading');

/** undefined if another process runs the log. */
export type AuditLogReading = () => LogState | undefined;
export const AUDIT_LOG = Symbol('AuditLogReading');

/** A key that has sealed rows and that this process lacks, and what a sample of the credential rows says. */
export type BindingKeyReading = () => {
  readonly missingKey: string | undefined;
  readonly sample: SampledRows | undefined;
};
export const BINDING_KEY = Symbol('BindingKeyReading');

/** Whether seals of the version before still count. */
export type SealsReading = () => Pick<SealRegister, 'areOldAccepted' | 'newSince'>;
export const SEALS = Symbol('SealsReading');

/** Challenges can be spent up to this time; undefined before the first look. */
export type SpentChallengesReading = () => Date | undefined;
export const SPENT_CHALLENGES = Symbol('SpentChallengesReading');

/** The keys that sign JWTs; undefined if none are configured. */
export interface SigningKeysReading {
  readonly receipts: () => SigningKeysState | undefined;
  readonly signals: () => SigningKeysState | undefined;
}
export const SIGNING_KEYS = Symbol('SigningKeysReading');

/** The files of pushes, and the streams whose last push failed (undefined: this process pushes nothing); and the outbox. */
export interface SignalPushReading {
  readonly push: () => (PushFilesState & Partial<PushState>) | undefined;
  readonly outbox: () => OutboxState;
}
export const SIGNAL_PUSH = Symbol('SignalPushReading');

/** undefined if another process walks. */
export type ReconciliationReading = () => ReconciliationState | undefined;
export const RECONCILIATION = Symbol('ReconciliationReading');

/**
 * Seconds. The comparison errs by less than half a second, and clocks that NTP keeps are apart by milliseconds. From minutes on,
 * replicas refuse each other's challenges, and events have times that no investigation can use (PCI DSS 10.6).
 */
const MAX_CLOCK_OFFSET = 2;

/** Checks every condition that the service needs in order to be useful. */
@Injectable()
export class Readiness {
  constructor(
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(IDENTITY) private readonly identity: IdentityReading,
    @Inject(AUDIT_LOG) private readonly readLog: AuditLogReading,
    @Inject(AUTHENTICATOR_FILES) private readonly files: AuthenticatorFiles,
    @Inject(BINDING_KEY) private readonly readBindingKey: BindingKeyReading,
    @Inject(SEALS) private readonly readSeals: SealsReading,
    @Inject(SPENT_CHALLENGES) private readonly readSpentChallenges: SpentChallengesReading,
    @Inject(RECONCILIATION) private readonly readReconciliation: ReconciliationReading,
    @Inject(SIGNING_KEYS) private readonly signingKeys: SigningKeysReading,
    @Inject(SIGNAL_PUSH) private readonly readSignalPush: SignalPushReading,
    private readonly probe: DatabaseProbe,
    private readonly indicators: HealthIndicatorService,
  ) {}

  /** Each names the page of the runbook for what is wrong with it. */
  listIndicators(): HealthIndicatorFunction[] {
    const checks: (() => HealthIndicatorResult | Promise<HealthIndicatorResult>)[] = [
      () => this.checkDatabase(),
      () => this.checkCertificate(),
      () => this.checkCrl(),
      () => this.checkAccessPolicy(),
      () => this.checkListener(),
      () => this.checkMetadata(),
      () => this.checkLog(),
      () => this.checkBindingKey(),
      () => this.checkSeals(),
      () => this.checkSpentChallenges(),
      () => this.checkAttestationRoots(),
      () => this.checkSigningKeys(),
      () => this.checkSignalPush(),
      () => this.checkReconciliation(),
    ];
    return checks.map((check) => async () => addRunbookPages(await check()));
  }

  /** Probes the database: `database`, `migrations`, `audit` and `clock`. */
  async checkDatabase(): Promise<HealthIndicatorResult> {
    const { database, migrations, audit, clockOffset } = await this.probe.run();
    return {
      ...this.reportFinding('database', database),
      ...this.reportFinding('migrations', migrations),
      ...this.checkAudit(audit),
      ...this.checkClock(clockOffset),
    };
  }

  /**
   * Says when the clocks of the service and the database are apart, and is never down: which of them is wrong cannot be known
   * here, and all replicas would be down at once.
   */
  private checkClock(offset: number | undefined): HealthIndicatorResult {
    const check = this.indicators.check('clock');
    if (offset === undefined) return check.up('not compared');
    const message = Math.abs(offset) > MAX_CLOCK_OFFSET ? 'the clocks of service and database are apart' : undefined;
    return check.up({ offsetSeconds: Math.round(offset * 1_000) / 1_000, message });
  }

  /**
   * Down when the log takes no record, when records have been pending for too long, and when the log is not the one that was
   * signed: then the rows beside it may be those of an older state, too.
   */
  private checkAudit(wrong: string | undefined): HealthIndicatorResult {
    const log = this.readLog();
    const check = this.indicators.check('audit');
    if (wrong !== undefined) return check.down({ message: wrong, ...log });
    if (log?.failures.some(isLogFault)) return check.down({ message: 'the audit log is not continued', ...log });
    return log?.standsStillSince ? check.down({ message: 'the audit log stands still', ...log }) : check.up({ ...log });
  }

  /**
   * Down when no caller can be served: the service's own certificate or the last authority has ended, or has not begun
   * because the clock went back. If new files cannot be used, the service continues with the old ones and the detail
   * says so.
   */
  checkCertificate(): HealthIndicatorResult {
    const { material, epoch, refused } = this.identity().trust;
    const authorities = Math.max(...material.authorities.map(({ validToDate }) => validToDate.getTime()));
    const end = Math.min(material.certificate.validToDate.getTime(), authorities);
    const firstAuthority = Math.min(...material.authorities.map(({ validFromDate }) => validFromDate.getTime()));
    const begin = Math.max(material.certificate.validFromDate.getTime(), firstAuthority);
    return this.checkPeriod('certificate', begin, new Date(end), { epoch, refused });
  }

  /**
   * Down when a list has ended: every certificate of the list's authority is refused then. Without lists the detail says
   * how long a certificate may live instead.
   */
  checkCrl(): HealthIndicatorResult {
    const { revocationLists, authorities, shortLivedHours } = this.identity().trust.material;
    const now = this.clock.now();
    const inUse = revocationLists.filter((list) => isListInUse(list, authorities, now));
    if (shortLivedHours !== undefined && inUse.length === 0) {
      return this.indicators.check('crl').up({ shortLivedHours });
    }
    const [first] = inUse.sort((a, b) => getEnd(a) - getEnd(b));
    const half = first ? (first.thisUpdate.getTime() + getEnd(first)) / 2 : 0;
    const begin = Math.max(...inUse.map(({ thisUpdate }) => thisUpdate.getTime()));
    return this.checkPeriod('crl', begin, first?.nextUpdate, { ageing: now.getTime() > half, shortLivedHours });
  }

  /** Down when the listener takes no further connection. */
  checkListener(): HealthIndicatorResult {
    const { connections, isFull } = this.identity().bounds;
    const check = this.indicators.check('listener');
    return isFull ? check.down({ connections, message: 'too many connections are open' }) : check.up({ connections });
  }

  checkAccessPolicy(): HealthIndicatorResult {
    const { policy, refused } = this.identity().access;
    return this.indicators.check('access_policy').up({ digest: policy.digest, refused });
  }

  /** Reports the metadata and is never down: old metadata is better than no service. */
  checkMetadata(): HealthIndicatorResult {
    const check = this.indicators.check('metadata');
    const state = this.files.metadata();
    if (!state) return check.up('not configured');
    return check.up({ ...state, nextUpdate: state.nextUpdate.toISOString().slice(0, 10) });
  }

  /** If a new file cannot be used, the service keeps the roots that it has. */
  checkAttestationRoots(): HealthIndicatorResult {
    const check = this.indicators.check('attestation_roots');
    const state = this.files.attestationRoots();
    return state ? check.up({ ...state }) : check.up('not configured');
  }

  /** If a new file cannot be used, the service signs with the keys that it has. */
  checkSigningKeys(): HealthIndicatorResult {
    const states = { receipt_keys: this.signingKeys.receipts(), signal_keys: this.signingKeys.signals() };
    const results = Object.entries(states).map(([key, state]) => {
      const check = this.indicators.check(key);
      return state ? check.up({ ...state }) : check.up('not configured');
    });
    return Object.assign({}, ...results) as HealthIndicatorResult;
  }

  /** Reports signals that wait and receivers that take none, and is never down: nobody needs signals to sign in. */
  checkSignalPush(): HealthIndicatorResult {
    const check = this.indicators.check('signal_push');
    const state = this.readSignalPush.push();
    const outbox = this.indicators.check('signals').up({ ...this.readSignalPush.outbox() });
    return { ...outbox, ...(state ? check.up({ ...state }) : check.up('not configured')) };
  }

  /** Reports lost log lines and is never down: a service that cannot write its log still serves. */
  checkLog(): HealthIndicatorResult {
    const { lost, failure } = standardOutput;
    return this.indicators.check('log').up({ lost, failure });
  }

  /**
   * Down when the process lacks a key that has sealed rows, by the check values in the database: good rows would be refused.
   * Rows that fail are mentioned only, because whoever changes a row must not take the service down.
   */
  checkBindingKey(): HealthIndicatorResult {
    const check = this.indicators.check('binding_key');
    const { missingKey, sample } = this.readBindingKey();
    const rows = sample && sample.failed > 0 ? sample : undefined;
    if (missingKey === undefined) return check.up({ ...rows });
    return check.down({ message: 'a key that has sealed rows is missing', missingKey, ...rows });
  }

  /** Reports if seals of the version before still count, and is never down: they did before the upgrade, too. */
  checkSeals(): HealthIndicatorResult {
    const { areOldAccepted: oldAccepted, newSince } = this.readSeals();
    return this.indicators
      .check('seals')
      .up({ oldAccepted, ...(oldAccepted && { newSince: newSince?.toISOString() }) });
  }

  /** Down when the present time has no partition of spent challenges: every answer would fail. */
  checkSpentChallenges(): HealthIndicatorResult {
    const until = this.readSpentChallenges();
    const check = this.indicators.check('spent_challenges');
    if (until && until > this.clock.now()) return check.up({ until: until.toISOString() });
    return check.down({ until: until?.toISOString(), message: 'the present time has no partition' });
  }

  /** Reports rows that contradict the audit log, and is never down: other rows do not, and their users sign in. */
  checkReconciliation(): HealthIndicatorResult {
    return this.indicators.check('reconciliation').up({ ...this.readReconciliation() });
  }

  private reportFinding(key: string, wrong: string | undefined): HealthIndicatorResult {
    const check = this.indicators.check(key);
    return wrong === undefined ? check.up() : check.down(wrong);
  }

  private checkPeriod(
    key: string,
    begin: number,
    end: Date | undefined,
    detail: Record<string, unknown>,
  ): HealthIndicatorResult {
    const check = this.indicators.check(key);
    if (!end) return check.down('it does not say when it ends');
    const told = { until: end.toISOString(), ...detail };
    if (begin > this.clock.now().getTime()) {
      return check.down({
        ...told,
        from: new Date(begin).toISOString(),
        message: 'it has not begun: the clock went back',
      });
    }
    return end > this.clock.now() ? check.up(told) : check.down({ ...told, message: 'it has ended' });
  }
}

function getEnd({ nextUpdate }: RevocationList): number {
  return nextUpdate?.getTime() ?? 0;
}
