import type { CalmControls } from './calm.js';
import type { Sources } from './part.js';

const TLS = 'https://controls.calm.dev/TLS';
const ZERO_TRUST = 'https://controls.calm.dev/ZeroTrust';

/** The two controls with the configuration of this service, as it was measured and read. */
export function describeControls({ config, inventory, policy }: Sources): CalmControls {
  const { listener, revocation, revocationLists, certificates } = inventory;
  const names = (offers: readonly { readonly name: string }[] | undefined): string[] =>
    (offers ?? []).map(({ name }) => name);
  const server = certificates.find(({ what }) => what === 'server');
  return {
    tls: {
      description: 'Both sides present certificates. The offers were measured by handshakes.',
      requirements: [
        {
          'requirement-url': TLS,
          config: {
            mode: 'mTLS',
            minimumVersion: listener?.protocols[0]?.replace('v', '') ?? null,
            protocols: listener?.protocols ?? [],
            cipherSuites: names(listener?.cipherSuites),
            keyExchange: names(listener?.keyExchange),
            signatures: names(listener?.signatures),
            alpn: listener?.alpn ?? [],
            sessionResumption: false,
            revocation,
            revocationLists: revocationLists.map(({ subject, notBefore, notAfter }) => ({
              authority: subject,
              notBefore,
              notAfter,
            })),
            serverCertificate: server
              ? { sha256: server.fingerprint, notBefore: server.notBefore, notAfter: server.notAfter }
              : null,
            callerAuthorities: certificates
              .filter(({ what }) => what === 'authority of callers')
              .map(({ subject, fingerprint }) => ({ subject, sha256: fingerprint })),
          },
        },
      ],
    },
    'zero-trust': {
      description:
        'A caller is the SPIFFE ID in its certificate, everything is denied by default, and every request is checked.',
      requirements: [
        {
          'requirement-url': ZERO_TRUST,
          config: {
            serviceIdentity: 'mTLS',
            leastPrivilege: true,
            continuousVerification: true,
            trustDomain: policy?.trustDomain ?? null,
            accessPolicySha256: policy?.digest ?? null,
            identities: policy ? [...policy.grants.keys()].sort() : [],
            deniedEntries: policy?.deny.length ?? 0,
            approvals: policy?.approvals ? [...policy.approvals.permissions].sort() : [],
            checkedOnEachRequest: ['certificate', 'revocation', 'age of the connection', 'grant', 'rate'],
            shortLivedHours: config.tls.shortLivedHours ?? null,
          },
        },
      ],
    },
  };
}

/** What the architecture demands of a node or a relationship that this service does not run. */
export function demandTls(mode: 'mTLS' | undefined): CalmControls {
  return {
    tls: {
      description: 'Demanded by the architecture; the operator of the node shows it.',
      requirements: [{ 'requirement-url': TLS, config: mode ? { mode } : { minimumVersion: 'TLS1.2' } }],
    },
  };
}

export function demandZeroTrust(): CalmControls {
  return {
    'zero-trust': {
      description: 'Demanded by the architecture; the operator of the node shows it.',
      requirements: [{ 'requirement-url': ZERO_TRUST, config: { leastPrivilege: true, continuousVerification: true } }],
    },
  };
}

/** Says if the connection that this program made to the database has TLS. */
export function isEncrypted({ inventory }: Sources): boolean {
  return inventory.database.agreed.startsWith('TLS');
}

/** What the settings ask of the connection to the database, and what the server agreed to. */
export function describeDatabaseTls(sources: Sources): CalmControls {
  const { config, inventory } = sources;
  const { settings, agreed } = inventory.database;
  return {
    tls: {
      description: 'What the settings ask for, and what the server agreed to with this program.',
      requirements: [
        {
          'requirement-url': TLS,
          config: { mode: isEncrypted(sources) ? 'TLS' : 'none', settings, agreed, production: config.production },
        },
      ],
    },
  };
}
