import { X509Certificate } from 'node:crypto';
import type { DevelopmentCa } from '../../dev/development-ca.js';
import { DELIVERIES, type Mount } from './mount.js';

export interface Identity {
  readonly spiffeId: string;
  readonly cert: string;
}

export interface Rotation {
  readonly kind: (typeof KINDS)[number];
  readonly how: string;
  /** Writes the files. Nothing changes before this call. */
  write(): void;
}

const KINDS = ['certificate', 'crl', 'policy'] as const;
const TRUST_DOMAIN = 'passkey-manager.local';
const PERMISSIONS = 'passkeys:register, passkeys:authenticate, passkeys:read';

/** Makes the changes of the files: certificate, revocation list and access policy in turn, in each way. */
export class Rotations {
  private readonly mount: Mount;
  private readonly authority: DevelopmentCa;
  private readonly granted: Map<string, string>;
  private readonly revoked: string[] = [];
  private readonly denied: string[] = [];

  /** @param granted SPIFFE IDs */
  constructor(mount: Mount, authority: DevelopmentCa, granted: readonly string[]) {
    this.mount = mount;
    this.authority = authority;
    this.granted = grantsOf(granted);
  }

  /** @param victim the caller that a revocation list or a policy shuts out; a new server certificate shuts nobody out */
  async next(number: number, victim: Identity | undefined): Promise<Rotation> {
    const kind = kindOf(number);
    const delivery = DELIVERIES[Math.floor(number / KINDS.length) % DELIVERIES.length]!;
    const files = await this[kind](number, victim);
    return {
      kind,
      how: `${kind} ${delivery}`,
      write: () => {
        this.mount.replace(files, delivery);
      },
    };
  }

  private async certificate(): Promise<Record<string, string>> {
    const { certificatePem, keyPem } = await this.authority.issueServer();
    return { 'server.crt': certificatePem, 'server.key': keyPem };
  }

  private async crl(_: number, victim?: Identity): Promise<Record<string, string>> {
    if (victim) this.revoked.push(new X509Certificate(victim.cert).serialNumber);
    return { 'ca.crl': await this.authority.issueRevocationList(this.revoked) };
  }

  private policy(number: number, victim?: Identity): Promise<Record<string, string>> {
    if (victim) this.shutOut(victim, number);
    return Promise.resolve({ 'access-policy.yaml': `# ${String(number)}\n${policyOf(this.granted, this.denied)}` });
  }

  private shutOut({ spiffeId, cert }: Identity, number: number): void {
    const { serialNumber, fingerprint256 } = new X509Certificate(cert);
    const ways = [
      () => this.denied.push(`id: ${spiffeId}`),
      () => this.denied.push(`serial: "${serialNumber}"`),
      () => this.denied.push(`fingerprint: "${fingerprint256}"`),
      () => this.granted.delete(spiffeId),
      () => this.granted.set(spiffeId, 'passkeys:register'),
    ];
    ways[Math.floor(number / KINDS.length / 2) % ways.length]!();
  }
}

export function kindOf(number: number): (typeof KINDS)[number] {
  return KINDS[number % KINDS.length]!;
}

export function spiffeId(name: string): string {
  return `spiffe://${TRUST_DOMAIN}/${name}`;
}

/** Returns the first policy. */
export function firstPolicy(ids: readonly string[]): string {
  return policyOf(grantsOf(ids), []);
}

function grantsOf(ids: readonly string[]): Map<string, string> {
  return new Map(ids.map((id) => [id, PERMISSIONS]));
}

function policyOf(granted: ReadonlyMap<string, string>, denied: readonly string[]): string {
  return [
    'version: 1',
    `trustDomain: ${TRUST_DOMAIN}`,
    'services:',
    ...[...granted].map(([id, permissions]) => `  - { id: '${id}', permissions: [${permissions}] }`),
    ...(denied.length > 0 ? ['deny:', ...denied.map((denial) => `  - { ${denial} }`)] : []),
    '',
  ].join('\n');
}
