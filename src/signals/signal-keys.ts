import {
  Inject,
  Injectable,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
  type OnModuleInit,
} from '@nestjs/common';
import { AuditService } from '../audit/audit.service.js';
import { ReloadReporter } from '../audit/reload-reporter.js';
import { CONFIG, type Config } from '../config/config.js';
import { createMalformedProblem, Problem } from '../http/problem.js';
import { type PublishedKeys, publishKeys } from '../signing-keys/publish-keys.js';
import { type AllowedKeys, readSigningKeys, type SigningKeySet } from '../signing-keys/read-signing-keys.js';
import { type JwtAlgorithm, signJwtAside } from '../signing-keys/sign-jwt.js';
import { SigningKeyFile, type SigningKeysState } from '../signing-keys/signing-key-file.js';
import { Metrics } from '../telemetry/metrics.js';
import type { SetClaims, SetSigner } from './set.js';
import type { StreamEntity } from './stream.entity.js';

/** SSF 1.0 §4.1.1, RFC 8417 §2.3. */
const TYPE = 'secevent+jwt';
/**
 * Signatures that are made at once. Each takes a thread of the few that Node.js has, and a new connection to the database, a
 * file and the signature of a passkey need one, too.
 */
const LANES = 2;
/** What every receiver can verify (CAEP Interoperability Profile 1.0 §2.6). */
export const DEFAULT_SIGNAL_ALGORITHM = 'RS256';

const KINDS: AllowedKeys = {
  algorithms: ['RS256', 'PS256', 'ES256', 'Ed25519'],
  otherwise: 'neither RSA of 2048 bits or more, nor on P-256, nor Ed25519',
};

/**
 * Holds the keys of PASSKEY_SIGNAL_KEY_FILE, and signs security event tokens (SETs) with them. The first key of an algorithm
 * signs for the streams with that algorithm, and all keys are published.
 */
@Injectable()
export class SignalKeys implements SetSigner, OnModuleInit, OnApplicationBootstrap, OnModuleDestroy {
  private readonly reloads: ReloadReporter;
  private file: SigningKeyFile | undefined;
  /** Each is there when its last signature is. */
  private readonly lanes: Promise<unknown>[] = Array.from({ length: LANES }, () => Promise.resolve());
  private nextLane = 0;

  constructor(
    @Inject(CONFIG) private readonly config: Pick<Config, 'signals' | 'production' | 'allowDevelopment' | 'worker'>,
    metrics: Metrics,
    audit: AuditService,
  ) {
    this.reloads = new ReloadReporter('signal-keys.reload', audit, metrics, config);
  }

  /** @throws ConfigError if the file holds anything but keys that can sign, an RSA key first */
  async onModuleInit(): Promise<void> {
    const { config, reloads } = this;
    if (config.signals === undefined) return;
    this.file = await SigningKeyFile.open({
      setting: 'PASSKEY_SIGNAL_KEY_FILE',
      path: config.signals.keyFile,
      config,
      read: readSignalKeys,
      reloads,
    });
  }

  onApplicationBootstrap(): void {
    this.file?.watch();
  }

  async onModuleDestroy(): Promise<void> {
    await this.file?.close();
  }

  get isConfigured(): boolean {
    return this.file !== undefined;
  }

  /** The issuer of every SET (SSF 1.0 §4.1.6). @throws Problem signals-not-configured */
  get issuer(): string {
    if (this.config.signals === undefined) throw new Problem('signals-not-configured');
    return this.config.signals.issuer;
  }

  /**
   * Finds the algorithm that a receiver names for a stream; the default if it names none.
   *
   * @throws Problem signals-not-configured; request-malformed: no key signs by it
   */
  readonly chooseAlgorithm = (wanted: string | undefined): JwtAlgorithm => {
    if (wanted === undefined) return DEFAULT_SIGNAL_ALGORITHM;
    const known = [...new Set(this.keys.map(({ algorithm }) => algorithm))];
    const found = known.find((algorithm) => algorithm === wanted);
    if (found) return found;
    throw createMalformedProblem(`must be one of ${known.join(', ')}: no other key signs`, '/signing_algorithm');
  };

  /** @throws Problem signals-not-configured */
  get published(): PublishedKeys {
    return publishKeys(this.keys);
  }

  /**
   * Signs a SET in another thread, after those that wait for it. If the last key of the stream's algorithm is gone, the default
   * signs.
   *
   * @throws Problem signals-not-configured
   */
  sign(claims: SetClaims, { algorithm }: Pick<StreamEntity, 'algorithm'>): Promise<string> {
    const { keys } = this;
    const signer = keys.find((key) => key.algorithm === algorithm) ?? keys[0];
    const lane = this.nextLane;
    this.nextLane = (lane + 1) % LANES;
    const signed = this.lanes[lane]!.then(() => signJwtAside(TYPE, claims, signer));
    this.lanes[lane] = signed.catch(() => undefined);
    return signed;
  }

  /** @returns undefined: no file is configured */
  describeState(): SigningKeysState | undefined {
    return this.file?.describeState();
  }

  /** Reloads the file if it has changed. A file with a mistake changes nothing. Never throws. */
  async reload(): Promise<void> {
    await this.file?.reload();
  }

  private get keys(): SigningKeySet {
    if (this.file === undefined) throw new Problem('signals-not-configured');
    return this.file.keys;
  }
}

async function readSignalKeys(text: string): Promise<SigningKeySet> {
  const keys = await readSigningKeys(text, KINDS);
  if (keys[0].algorithm !== DEFAULT_SIGNAL_ALGORITHM)
    throw new Error('cannot be used: its first key must be RSA, because most receivers verify RS256 alone');
  return keys;
}
