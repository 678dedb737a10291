import { createHash } from 'node:crypto';
import { AUDIENCE, AUDIENCE_WORDS, isRpId, isTimestamp, TIMESTAMP_WORDS } from '../http/validators.js';
import { parsePlainYaml, PlainYamlError } from '../config/plain-yaml.js';
import { APPROVABLE, type ApprovablePermission, type Permission, PERMISSIONS } from './permissions.js';

/** The rights of one service identity. */
export interface Grant {
  readonly id: string;
  readonly permissions: ReadonlySet<Permission>;
  /** null: all relying parties. */
  readonly relyingParties: readonly string[] | null;
  /** The services for which the caller may ask for receipts; empty: none. */
  readonly receiptAudiences: readonly string[];
  /** The `aud` of the signals that it receives; null: its SPIFFE ID. */
  readonly signalAudience: string | null;
  /** null: no limit. */
  readonly requestsPerSecond: number | null;
  readonly notAfter: Date | null;
}

export interface Denial {
  readonly id?: string;
  readonly serial?: string;
  readonly fingerprint?: string;
  readonly publicKey?: string;
}

/** What a second identity must approve, and how long a request for an approval stands. */
export interface ApprovalRules {
  readonly permissions: ReadonlySet<ApprovablePermission>;
  readonly ttlSeconds: number;
}

export interface AccessPolicy {
  readonly trustDomain: string;
  readonly grants: ReadonlyMap<string, Grant>;
  readonly deny: readonly Denial[];
  /** null: nothing needs an approval. */
  readonly approvals: ApprovalRules | null;
  /** Lower-case hexadecimal SHA-256 of the file. It identifies the policy of a decision. */
  readonly digest: string;
}

/** Lists every mistake of an access policy, each with the path of the wrong value. */
export class AccessPolicyError extends Error {
  constructor(readonly mistakes: readonly string[]) {
    super(`The access policy cannot be used:\n${mistakes.map((mistake) => `  - ${mistake}`).join('\n')}`);
    this.name = 'AccessPolicyError';
  }
}

/**
 * Parses strictly: an unknown key, an unknown permission, a wildcard or a duplicate refuses the whole file.
 *
 * @throws AccessPolicyError with every mistake
 */
export function parseAccessPolicy(text: string): AccessPolicy {
  const reader = new PolicyReader();
  const policy = reader.readPolicy(readYaml(text));
  if (reader.mistakes.length > 0) throw new AccessPolicyError(reader.mistakes);
  return { ...policy, digest: createHash('sha256').update(text).digest('hex') };
}

function readYaml(text: string): unknown {
  try {
    return parsePlainYaml(text);
  } catch (error) {
    throw error instanceof PlainYamlError ? new AccessPolicyError(error.mistakes) : error;
  }
}

/** SPIFFE-ID §2: the path has segments, and none is empty, `.` or `..`. */
const SPIFFE_ID = /^spiffe:\/\/[a-z0-9._-]+(\/(?!\.{1,2}(\/|$))[A-Za-z0-9._-]+)+$/;

/** Hexadecimal with or without colons, as tools print it. */
const SERIAL = /^[0-9a-f]{2}(:?[0-9a-f]{2}){0,20}$/i;
const SHA_256 = /^[0-9a-f]{2}(:?[0-9a-f]{2}){31}$/i;

/** The members that can identify a denied caller. */
const DENIAL_MEMBERS = ['id', 'serial', 'fingerprint', 'publicKey'];

const DEFAULT_APPROVAL_TTL = 3_600;
const MIN_APPROVAL_TTL = 60;
const MAX_APPROVAL_TTL = 86_400;

type Members = Record<string, unknown>;

class PolicyReader {
  readonly mistakes: string[] = [];

  readPolicy(value: unknown): Omit<AccessPolicy, 'digest'> {
    const root = this.readMembers(value, 'the policy', ['version', 'trustDomain', 'services', 'deny', 'approvals']);
    if (root['version'] !== 1) this.addMistake('version', 'must be 1');
    const trustDomain = this.readText(root['trustDomain'], 'trustDomain', /^[a-z0-9._-]{1,255}$/);
    const grants = new Map<string, Grant>();
    this.readList(root['services'], 'services').forEach((service, index) => {
      const grant = this.readGrant(service, `services[${String(index)}]`, trustDomain);
      if (grants.has(grant.id)) this.addMistake(`services[${String(index)}].id`, `repeats ${grant.id}`);
      grants.set(grant.id, grant);
    });
    const deny = root['deny'] === undefined ? [] : this.readList(root['deny'], 'deny');
    const denials = deny.map((denial, index) => this.readDenial(denial, `deny[${String(index)}]`, trustDomain));
    return { trustDomain, grants, deny: denials, approvals: this.readApprovals(root['approvals'], grants) };
  }

  /** Refuses a demand that nobody could meet, because its author believes that somebody decides. */
  private readApprovals(value: unknown, grants: ReadonlyMap<string, Grant>): ApprovalRules | null {
    if (value === undefined) return null;
    const approvals = this.readMembers(value, 'approvals', ['permissions', 'ttlSeconds']);
    const permissions = this.readTexts(approvals['permissions'], 'approvals.permissions');
    for (const permission of permissions) {
      if (!(APPROVABLE as readonly string[]).includes(permission)) {
        const detail = `"${permission}" cannot need an approval; the permissions that can are ${APPROVABLE.join(', ')}`;
        this.addMistake('approvals.permissions', detail);
      }
    }
    if (![...grants.values()].some((grant) => grant.permissions.has('approvals:decide')))
      this.addMistake('approvals', 'needs a service with the permission approvals:decide, and there is none');
    return {
      permissions: new Set(permissions as ApprovablePermission[]),
      ttlSeconds: this.readApprovalTtl(approvals['ttlSeconds']),
    };
  }

  private readApprovalTtl(value: unknown): number {
    if (value === undefined) return DEFAULT_APPROVAL_TTL;
    if (Number.isInteger(value) && Number(value) >= MIN_APPROVAL_TTL && Number(value) <= MAX_APPROVAL_TTL)
      return Number(value);
    this.addMistake(
      'approvals.ttlSeconds',
      `must be a whole number from ${String(MIN_APPROVAL_TTL)} to ${String(MAX_APPROVAL_TTL)}`,
    );
    return DEFAULT_APPROVAL_TTL;
  }

  private readGrant(value: unknown, path: string, trustDomain: string): Grant {
    const allowed = [
      'id',
      'permissions',
      'relyingParties',
      'receiptAudiences',
      'signalAudience',
      'requestsPerSecond',
      'notAfter',
    ];
    const service = this.readMembers(value, path, allowed);
    const id = this.readSpiffeId(service['id'], `${path}.id`, trustDomain);
    const permissions = this.readTexts(service['permissions'], `${path}.permissions`);
    for (const permission of permissions) {
      if (!(PERMISSIONS as readonly string[]).includes(permission)) {
        this.addMistake(
          `${path}.permissions`,
          `"${permission}" is not a permission; the permissions are ${PERMISSIONS.join(', ')}`,
        );
      }
    }
    return {
      id,
      permissions: new Set(permissions as Permission[]),
      relyingParties:
        service['relyingParties'] === undefined
          ? null
          : this.readRelyingParties(service['relyingParties'], `${path}.relyingParties`),
      receiptAudiences:
        service['receiptAudiences'] === undefined
          ? []
          : this.readAudiences(service['receiptAudiences'], `${path}.receiptAudiences`),
      signalAudience:
        service['signalAudience'] === undefined
          ? null
          : this.readText(service['signalAudience'], `${path}.signalAudience`, AUDIENCE),
      requestsPerSecond: this.readRate(service['requestsPerSecond'], `${path}.requestsPerSecond`),
      notAfter: this.readTime(service['notAfter'], `${path}.notAfter`),
    };
  }

  /** Refuses an entry that can never match, because its author believes that it locks somebody out. */
  private readDenial(value: unknown, path: string, trustDomain: string): Denial {
    const denial = this.readMembers(value, path, DENIAL_MEMBERS);
    if (Object.keys(denial).length !== 1)
      this.addMistake(path, `must have exactly one of ${DENIAL_MEMBERS.join(', ')}`);
    const hexadecimal = (key: string, pattern: RegExp): string =>
      this.readText(denial[key], `${path}.${key}`, pattern).replaceAll(':', '').toLowerCase();
    if ('id' in denial) return { id: this.readSpiffeId(denial['id'], `${path}.id`, trustDomain) };
    if ('serial' in denial) return { serial: hexadecimal('serial', SERIAL).replace(/^(00)+(?=..)/, '') };
    if ('fingerprint' in denial) return { fingerprint: hexadecimal('fingerprint', SHA_256) };
    if ('publicKey' in denial) return { publicKey: hexadecimal('publicKey', SHA_256) };
    return {};
  }

  private readSpiffeId(value: unknown, path: string, trustDomain: string): string {
    const id = this.readText(value, path, SPIFFE_ID);
    if (!id.startsWith(`spiffe://${trustDomain}/`)) this.addMistake(path, 'is not in the trust domain');
    return id;
  }

  private readMembers(value: unknown, path: string, allowed: readonly string[]): Members {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      this.addMistake(path, 'must be a mapping');
      return {};
    }
    for (const key of Object.keys(value))
      if (!allowed.includes(key)) this.addMistake(path, `has an unknown key "${key}"`);
    return value as Members;
  }

  private readList(value: unknown, path: string): unknown[] {
    if (Array.isArray(value) && value.length > 0) return value;
    this.addMistake(path, 'must be a list with at least one entry');
    return [];
  }

  private readTexts(value: unknown, path: string): string[] {
    const texts = this.readList(value, path).map((text) => this.readText(text, path, /^[^*]+$/));
    if (new Set(texts).size !== texts.length) this.addMistake(path, 'has an entry twice');
    return texts;
  }

  private readRelyingParties(value: unknown, path: string): string[] {
    const rpIds = this.readTexts(value, path);
    for (const rpId of rpIds.filter((text): boolean => text !== '' && !isRpId(text))) {
      this.addMistake(path, `"${rpId}" is not an RP ID, a domain in lower case such as login.example.com`);
    }
    return rpIds;
  }

  private readAudiences(value: unknown, path: string): string[] {
    const audiences = this.readTexts(value, path);
    for (const audience of audiences.filter((text) => text !== '' && !AUDIENCE.test(text))) {
      this.addMistake(path, `"${audience}" is not ${AUDIENCE_WORDS}`);
    }
    return audiences;
  }

  private readText(value: unknown, path: string, pattern: RegExp): string {
    if (typeof value === 'string' && pattern.test(value)) return value;
    this.addMistake(path, `must be text of the form ${String(pattern)}`);
    return '';
  }

  private readRate(value: unknown, path: string): number | null {
    if (value === undefined) return null;
    if (typeof value === 'number' && value > 0 && value <= 1_000_000) return value;
    this.addMistake(path, 'must be a number above 0, at most 1000000');
    return null;
  }

  private readTime(value: unknown, path: string): Date | null {
    if (value === undefined) return null;
    if (isTimestamp(value)) return new Date(value.toUpperCase());
    this.addMistake(path, `must be ${TIMESTAMP_WORDS}`);
    return null;
  }

  private addMistake(path: string, problem: string): void {
    this.mistakes.push(`${path} ${problem}`);
  }
}
