import { createCipheriv, createDecipheriv, createHash, hkdfSync } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { stringify as formatUuid, parse as parseUuid } from 'uuid';
import { CLOCK, type Clock } from '../config/clock.js';
import { takeRandomBytes } from '../config/random.js';
import { SECRET_KEYS, type SecretKeys } from '../config/secret-keys.js';
import type { AuthorizedContext } from '../http/request-context.js';
import { Problem } from '../http/problem.js';
import { type Ceremony, type Challenge, CHALLENGE_BYTES, getCeremony, USER_HANDLE_BYTES } from './challenge.js';
import { fromSealedPayment, type SealedPayment, toSealedPayment } from './sealed-payment.js';
import type { IdentityProofDto } from './dto/issue-challenge.dto.js';

/** The members of the encrypted JSON. Short, because a client carries them. */
interface Sealed {
  readonly r: string;
  readonly u?: string | undefined;
  /** The user's pseudonym. Challenges of the version before lack it. */
  readonly s?: string | undefined;
  /** How often all passkeys of the user had been revoked; absent: never. */
  readonly n?: number | undefined;
  readonly p?: string | undefined;
  readonly i: number;
  readonly e: number;
  readonly c?: boolean | undefined;
  /** True for a registration for payments. */
  readonly y?: boolean | undefined;
  readonly a?: string | undefined;
  readonly f?: IdentityProofDto | undefined;
  /** The digest of the transaction, in base64url. */
  readonly d?: string | undefined;
  readonly t?: SealedPayment | undefined;
}

/**
 * The ceremonies of each version of a token. A replica of the version before knows only version 1, and would take a challenge
 * of another ceremony for one to sign in with.
 */
const KINDS: Readonly<Record<number, readonly Ceremony[]>> = {
  1: ['authentication', 'registration'],
  2: ['confirmation', 'payment'],
};
/** The version of a ceremony's token, and its kind in there. */
const KIND_OF = new Map<Ceremony, readonly [version: number, kind: number]>(
  Object.entries(KINDS).flatMap(([version, kinds]) =>
    kinds.map((ceremony, kind) => [ceremony, [Number(version), kind]] as const),
  ),
);
const KEY_ID_BYTES = 4;
const HEADER_BYTES = 1 + KEY_ID_BYTES + 4;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const UUID_BYTES = 16;
const HOUR_MS = 3_600_000;
/** The keys of present hours, and of as many hours that somebody makes up. */
const MAX_HOUR_KEYS = 64;

interface Key {
  readonly id: string;
  readonly secret: Buffer;
}

/**
 * Seals challenges, so that nothing is stored when one is issued (docs/adr/0023-sealed-challenges.md). The caller gets
 * a token, which only this service can read or make:
 *
 *     version (1 byte) · key id (4) · hour since 1970 (4) · nonce (12) · ciphertext · tag (16)
 *
 * AES-256-GCM authenticates the header and the SPIFFE ID of the caller with the ciphertext, so the token opens for no
 * other caller. Random nonces allow 2^32 messages under one key (NIST SP 800-38D §8.3), so each hour has a key of its
 * own, derived by HKDF.
 */
@Injectable()
export class ChallengeSeal {
  private readonly keys: readonly [Key, ...Key[]];
  private readonly hourKeys = new Map<string, Buffer>();

  constructor(
    @Inject(SECRET_KEYS) keys: Pick<SecretKeys, 'challenges'>,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {
    this.keys = keys.challenges.map((secret) => ({ id: computeKeyId(secret), secret })) as [Key, ...Key[]];
  }

  /** @param spiffeId the caller that may answer the challenge; no other caller may */
  seal(challenge: Challenge, spiffeId: string): string {
    const [key] = this.keys;
    const header = Buffer.alloc(HEADER_BYTES);
    const [version, kind] = KIND_OF.get(getCeremony(challenge))!;
    header.writeUInt8(version);
    header.write(key.id, 1, 'hex');
    header.writeUInt32BE(Math.floor(challenge.issuedAt.getTime() / HOUR_MS), 1 + KEY_ID_BYTES);
    const nonce = takeRandomBytes(NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.getHourKey(key, header), nonce);
    cipher.setAAD(getAuthenticatedData(header, spiffeId));
    const sealed = [header, nonce, cipher.update(encode(challenge, kind)), cipher.final(), cipher.getAuthTag()];
    return Buffer.concat(sealed).toString('base64url');
  }

  /**
   * Opens the token of an answer. This does not spend the challenge: the statement that stores the outcome does.
   *
   * @throws Problem challenge-spent: the token is not of this service, was issued to another caller, is for a relying
   * party that the caller may not act for, or has expired
   */
  open({ caller, relyingParties }: AuthorizedContext, token: string): Challenge {
    const bytes = Buffer.from(token, 'base64url');
    // Other texts decode to the same bytes. A challenge has one spelling.
    const challenge = bytes.toString('base64url') === token ? this.decrypt(bytes, caller.spiffeId) : undefined;
    const allowed = challenge && (relyingParties === null || relyingParties.includes(challenge.rpId));
    if (!allowed || challenge.expiresAt <= this.clock.now()) throw new Problem('challenge-spent');
    return challenge;
  }

  private decrypt(token: Buffer, spiffeId: string): Challenge | undefined {
    if (token.length < HEADER_BYTES + NONCE_BYTES + TAG_BYTES) return undefined;
    const kinds = KINDS[token[0]!];
    if (!kinds) return undefined;
    const header = token.subarray(0, HEADER_BYTES);
    const id = header.toString('hex', 1, 1 + KEY_ID_BYTES);
    const key = this.keys.find((known) => known.id === id);
    if (!key) return undefined;
    const body = HEADER_BYTES + NONCE_BYTES;
    const decipher = createDecipheriv('aes-256-gcm', this.getHourKey(key, header), token.subarray(HEADER_BYTES, body), {
      authTagLength: TAG_BYTES,
    });
    decipher.setAAD(getAuthenticatedData(header, spiffeId));
    decipher.setAuthTag(token.subarray(-TAG_BYTES));
    try {
      return decode(Buffer.concat([decipher.update(token.subarray(body, -TAG_BYTES)), decipher.final()]), kinds);
    } catch {
      return undefined;
    }
  }

  private getHourKey({ id, secret }: Key, header: Buffer): Buffer {
    const hour = header.toString('hex', 1 + KEY_ID_BYTES);
    const known = this.hourKeys.get(id + hour);
    if (known) return known;
    const derived = Buffer.from(hkdfSync('sha256', secret, '', `passkey-manager/challenge/hour ${hour}`, 32));
    if (this.hourKeys.size >= MAX_HOUR_KEYS) this.hourKeys.clear();
    this.hourKeys.set(id + hour, derived);
    return derived;
  }
}

/** Names a key by a hash, so that replicas agree on its id without a setting. */
function computeKeyId(secret: Buffer): string {
  const digest = createHash('sha256').update('passkey-manager/challenge/key id').update(secret).digest();
  return digest.toString('hex', 0, KEY_ID_BYTES);
}

function getAuthenticatedData(header: Buffer, spiffeId: string): Buffer {
  return Buffer.concat([header, Buffer.from(spiffeId)]);
}

/** Kind of the ceremony (1 byte) · id (16) · challenge (32) · user handle (32, in a registration) · JSON of the rest. */
function encode({ id, challenge, registration, confirmation, payment, ...rest }: Challenge, kind: number): Buffer {
  const sealed: Sealed = {
    r: rest.rpId,
    u: rest.userId,
    s: registration?.uid,
    n: registration?.revocations === 0 ? undefined : registration?.revocations,
    p: rest.purpose,
    i: rest.issuedAt.getTime(),
    e: rest.expiresAt.getTime(),
    c: registration?.conditional,
    y: registration?.payment,
    a: registration?.attachment,
    f: registration?.identityProof,
    d: confirmation?.digest.toString('base64url'),
    t: payment && toSealedPayment(payment),
  };
  const handle = registration?.handle ?? Buffer.alloc(0);
  return Buffer.concat([Buffer.of(kind), parseUuid(id), challenge, handle, Buffer.from(JSON.stringify(sealed))]);
}

function decode(opened: Buffer, kinds: readonly Ceremony[]): Challenge | undefined {
  const ceremony = kinds[opened[0]!];
  if (!ceremony) return undefined;
  const handleAt = 1 + UUID_BYTES + CHALLENGE_BYTES;
  const jsonAt = ceremony === 'registration' ? handleAt + USER_HANDLE_BYTES : handleAt;
  const sealed = JSON.parse(opened.toString('utf8', jsonAt)) as Sealed;
  return {
    id: formatUuid(opened, 1),
    challenge: opened.subarray(1 + UUID_BYTES, handleAt),
    rpId: sealed.r,
    userId: sealed.u,
    purpose: sealed.p,
    issuedAt: new Date(sealed.i),
    expiresAt: new Date(sealed.e),
    registration:
      ceremony === 'registration'
        ? {
            handle: opened.subarray(handleAt, jsonAt),
            revocations: sealed.n ?? 0,
            uid: sealed.s,
            conditional: sealed.c === true,
            payment: sealed.y === true,
            attachment: sealed.a,
            identityProof: sealed.f,
          }
        : undefined,
    confirmation: ceremony === 'confirmation' ? { digest: Buffer.from(sealed.d!, 'base64url') } : undefined,
    payment: ceremony === 'payment' ? fromSealedPayment(sealed.t!) : undefined,
  };
}
