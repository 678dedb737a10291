import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, type Config, ConfigError } from '../config/config.js';
import { WELL_KNOWN_ROOTS } from '../webauthn/well-known-roots.js';

const CERTIFICATES = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** What attestations may end in: the well-known roots of their format, and those of PASSKEY_ATTESTATION_ROOTS_FILE. */
@Injectable()
export class AttestationRoots {
  private readonly configured: readonly string[];

  /** @throws ConfigError when the file holds anything but certificates */
  constructor(@Inject(CONFIG) { attestationRootsFile }: Config) {
    this.configured = attestationRootsFile === undefined ? [] : rootsIn(attestationRootsFile);
  }

  /** PEM, one certificate each. */
  of(format: string): readonly string[] {
    return [...(WELL_KNOWN_ROOTS[format] ?? []), ...this.configured];
  }
}

function rootsIn(file: string): readonly string[] {
  try {
    const bundle = readFileSync(file, 'latin1');
    const roots = bundle.match(CERTIFICATES) ?? [];
    const readable = roots.every((pem) => new X509Certificate(pem).publicKey.type === 'public');
    if (readable && roots.length > 0 && !bundle.replace(CERTIFICATES, '').includes('-----')) return roots;
  } catch {
    // Refused below.
  }
  throw new ConfigError([`PASSKEY_ATTESTATION_ROOTS_FILE: "${file}" must hold certificates in PEM, and nothing else`]);
}
