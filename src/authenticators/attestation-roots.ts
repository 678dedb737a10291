import { createHash, X509Certificate } from 'node:crypto';
import {
  Inject,
  Injectable,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
  type OnModuleInit,
} from '@nestjs/common';
import { AuditService } from '../audit/audit.service.js';
import { ReloadReporter } from '../audit/reload-reporter.js';
import { CONFIG, type Config, ConfigError } from '../config/config.js';
import { readBounded } from '../config/read-bounded.js';
import { type FileListener, WatchedFiles } from '../config/watched-files.js';
import { Metrics } from '../telemetry/metrics.js';
import type { AttestationVerdict } from '../webauthn/attestation-trust.js';
import { formatName } from '../x509/certificate-path.js';
import { findPemBlocks, PEM_DELIMITER } from '../x509/pem.js';
import { WELL_KNOWN_ROOTS } from '../webauthn/well-known-roots.js';

const MAX_BYTES = 4 * 1_024 * 1_024;

interface LoadedRoots {
  readonly digest: string;
  /** PEM, one certificate each. */
  readonly pem: readonly string[];
  readonly subjects: readonly string[];
}

/** The roots file that is in use, and the reason why a newer file is not. */
export interface RootsState {
  readonly digest: string;
  readonly refused: string | undefined;
}

/**
 * Holds the roots that attestations may lead to: the well-known roots of the format and those of
 * PASSKEY_ATTESTATION_ROOTS_FILE. The file decides trust, so the service takes it whole or not at all: one bad entry
 * stops the boot, and later keeps the previous roots in use. A new file applies from the next registration on. A
 * credential keeps the trust that it was registered with.
 */
@Injectable()
export class AttestationRoots implements OnModuleInit, OnApplicationBootstrap, OnModuleDestroy {
  private readonly reloads: ReloadReporter;
  private files: WatchedFiles<LoadedRoots> | undefined;

  constructor(
    @Inject(CONFIG) private readonly config: Pick<Config, 'attestationRootsFile' | 'worker'>,
    private readonly metrics: Metrics,
    audit: AuditService,
  ) {
    this.reloads = new ReloadReporter('attestation-roots.reload', audit, metrics, config);
  }

  /** @throws ConfigError if the file holds anything but certificates */
  async onModuleInit(): Promise<void> {
    const { attestationRootsFile: path } = this.config;
    if (path === undefined) return;
    try {
      this.files = await WatchedFiles.open<LoadedRoots>([path], (held) => readRoots(path, held));
    } catch (error) {
      const cause = error instanceof Error ? error.message : String(error);
      throw new ConfigError([`PASSKEY_ATTESTATION_ROOTS_FILE: "${path}" ${cause}`]);
    }
  }

  onApplicationBootstrap(): void {
    this.files?.watch(this.reports);
  }

  async onModuleDestroy(): Promise<void> {
    await this.files?.close();
  }

  /** PEM, one certificate each. */
  listRoots(format: string): readonly string[] {
    return [...(WELL_KNOWN_ROOTS[format] ?? []), ...(this.files?.value.pem ?? [])];
  }

  /** The state that operators see; undefined: no file is configured. */
  describeState(): RootsState | undefined {
    return this.files && { digest: this.files.value.digest, refused: this.files.refused };
  }

  /** Reloads the file if it has changed. A file with a mistake changes nothing. Never throws. */
  async reload(): Promise<void> {
    await this.files?.checkFiles(this.reports);
  }

  /**
   * Counts an attestation even if a policy then refuses it, so that a new root of a maker shows on the day it appears.
   */
  countAttestation({ format, trust, root = '', distrust }: AttestationVerdict): void {
    this.metrics.attestations.inc({ format, trust, root, reason: distrust?.code ?? '' });
  }

  private readonly reports: FileListener<LoadedRoots> = {
    onReloaded: ({ digest, subjects }, previous, files) => {
      const added = subjects.filter((subject) => !previous.subjects.includes(subject));
      const removed = previous.subjects.filter((subject) => !subjects.includes(subject));
      this.reloads.reportSuccess(files, { digest, previous_digest: previous.digest, added, removed });
    },
    onRefused: (detail) => {
      this.reloads.reportFailure(detail);
    },
  };
}

/** @throws Error whose message says what is wrong with the file */
async function readRoots(path: string, held: LoadedRoots | undefined): Promise<LoadedRoots> {
  const bytes = await readBounded(path, MAX_BYTES);
  const digest = createHash('sha256').update(bytes).digest('hex');
  if (digest === held?.digest) return held;
  const bundle = bytes.toString('latin1');
  const pem = findPemBlocks(bundle, 'CERTIFICATE');
  if (pem.length === 0) throw new Error('has no certificate in PEM');
  const delimiters = bundle.split(PEM_DELIMITER).length - 1;
  if (delimiters !== pem.length * 4) {
    throw new Error('has a PEM block that is not a whole certificate; it must hold certificates and nothing else');
  }
  return { digest, pem, subjects: pem.map(readSubject) };
}

function readSubject(pem: string, index: number): string {
  try {
    const { subject, publicKey } = new X509Certificate(pem);
    if (publicKey.type === 'public') return formatName(subject);
  } catch {
    // The error below refuses it.
  }
  throw new Error(`cannot be used: its certificate ${String(index + 1)} cannot be read; replace or remove it`);
}
