import type { Signed } from '../inventory/certificates.js';
import type { Inventory } from '../inventory/inventory.js';
import type { HeldKey } from '../inventory/keys.js';
import { classifyAlgorithm } from './crypto-algorithms.js';
import { SPECIFICATION, validateBom } from './cyclonedx.js';
import { formatTable, type Part, type Sources } from './part.js';
import { type AlgorithmUse, listQuantumQuestions } from './quantum-plan.js';

/** A component of CycloneDX that is a cryptographic asset. */
interface Asset {
  readonly type: 'cryptographic-asset';
  readonly name: string;
  readonly 'bom-ref': string;
  readonly cryptoProperties: Readonly<Record<string, unknown>>;
  readonly hashes?: readonly { readonly alg: 'SHA-256'; readonly content: string }[];
  readonly evidence?: { readonly occurrences: readonly { readonly location: string }[] };
  readonly properties?: readonly { readonly name: string; readonly value: string }[];
}

/** Lists protocols, algorithms, keys and certificates as a CycloneDX bill of cryptography (PCI DSS 4.0.1 12.3.3). */
export function describeCryptography({ inventory, version, now }: Sources): Part {
  const components = listAssets(inventory);
  const content = {
    $schema: `http://cyclonedx.org/schema/bom-${SPECIFICATION}.schema.json`,
    bomFormat: 'CycloneDX',
    specVersion: SPECIFICATION,
    version: 1,
    metadata: {
      timestamp: now.toISOString(),
      component: { type: 'application', name: 'passkey-manager', version, 'bom-ref': 'passkey-manager' },
    },
    components,
  };
  const uses = listUses(inventory);
  return {
    file: 'cbom.cdx.json',
    title: `Bill of cryptography, CycloneDX ${SPECIFICATION} (12.3.3, 4.2.1.1, 3.6.1.1)`,
    content,
    summary: formatTable(
      ['algorithm', 'for', 'withstands a quantum computer', 'where'],
      uses.map(({ algorithm, what, postQuantum, where }) => [algorithm, what, postQuantum, where]),
    ),
    open: [
      ...(inventory.listener ? [] : ['The offers of the listener could not be measured.']),
      ...listQuantumQuestions(uses),
    ],
    faults: validateBom(content).map((mistake) => `The bill of cryptography: ${mistake}.`),
  };
}

function listUses({ service, webauthn, listener, keys, certificates, database }: Inventory): AlgorithmUse[] {
  const offered = [
    ...(listener?.cipherSuites ?? []).map(({ name, postQuantum }) => ({
      algorithm: name,
      what: 'cipher suite of the listener',
      postQuantum,
    })),
    ...(listener?.keyExchange ?? []).map(({ name, postQuantum }) => ({
      algorithm: name,
      what: 'key exchange of the listener',
      postQuantum,
    })),
    ...(listener?.signatures ?? []).map(({ name, postQuantum }) => ({
      algorithm: name,
      what: 'signatures of the listener',
      postQuantum,
    })),
  ].map((use) => ({ ...use, where: 'src/identity/tls-options.ts' }));
  const passkeys = webauthn.map((use) => ({ ...use, what: `signatures of passkeys, ${use.what}` }));
  return [
    ...offered,
    ...(/, (\S+)$/.exec(database.agreed)
      ? [
          {
            algorithm: /, (\S+)$/.exec(database.agreed)![1]!,
            what: 'the connection to the database',
            where: 'src/config/database-url.ts',
            postQuantum: 'no',
          },
        ]
      : []),
    ...passkeys,
    ...service,
    ...keys.map(({ algorithm, size, what, where, postQuantum }) => ({
      algorithm: nameKey(algorithm, size),
      what: `key: ${what}`,
      where,
      postQuantum,
    })),
    ...certificates.map(({ signature, what, where, postQuantum }) => ({
      algorithm: signature,
      what: `signature of a certificate: ${what}`,
      where,
      postQuantum,
    })),
  ].filter((use, at, all) => all.findIndex((other) => isSameUse(use, other)) === at);
}

function isSameUse(one: AlgorithmUse, other: AlgorithmUse): boolean {
  return one.algorithm === other.algorithm && one.what === other.what && one.where === other.where;
}

function nameKey(algorithm: string, size: string): string {
  return algorithm === 'EC' || algorithm === 'RSA' ? `${algorithm} ${size}` : algorithm;
}

function listAssets(inventory: Inventory): Asset[] {
  const uses = listUses(inventory);
  const algorithms = [...new Set(uses.map(({ algorithm }) => algorithm))].sort();
  return [
    ...algorithms.map((algorithm) =>
      describeAlgorithm(
        algorithm,
        uses.filter((use) => use.algorithm === algorithm),
      ),
    ),
    ...describeProtocols(inventory),
    ...dropRepeated(inventory.certificates.map(describeCertificate)),
    ...dropRepeated(inventory.keys.map(describeKey)),
  ];
}

const toRef = (algorithm: string): string => `algorithm/${algorithm}`;

function dropRepeated(assets: readonly Asset[]): Asset[] {
  return assets.filter((asset, at) => assets.findIndex((other) => other['bom-ref'] === asset['bom-ref']) === at);
}

function describeAlgorithm(algorithm: string, uses: readonly AlgorithmUse[]): Asset {
  return {
    type: 'cryptographic-asset',
    name: algorithm,
    'bom-ref': toRef(algorithm),
    cryptoProperties: { assetType: 'algorithm', algorithmProperties: classifyAlgorithm(algorithm) },
    evidence: { occurrences: [...new Set(uses.map(({ where }) => where))].sort().map((location) => ({ location })) },
    properties: [...new Set(uses.map(({ what }) => what))]
      .sort()
      .map((value) => ({ name: 'passkey-manager:use', value })),
  };
}

function describeProtocols({ listener, database }: Inventory): Asset[] {
  const own = (listener?.protocols ?? []).map((protocol): Asset => {
    const version = protocol.replace('TLSv', '');
    const suites = (listener?.cipherSuites ?? []).filter(({ name }) => name.startsWith('TLS_') === (version === '1.3'));
    return {
      type: 'cryptographic-asset',
      name: `TLS ${version}, for callers`,
      'bom-ref': `protocol/callers/${version}`,
      cryptoProperties: {
        assetType: 'protocol',
        protocolProperties: {
          type: 'tls',
          version,
          cipherSuites: suites.map(({ name }) => ({ name, algorithms: [toRef(name)] })),
        },
      },
    };
  });
  const [, version] = /TLSv([\d.]+)/.exec(database.agreed) ?? [];
  if (version === undefined) return own;
  return [
    ...own,
    {
      type: 'cryptographic-asset',
      name: `TLS ${version}, to the database`,
      'bom-ref': `protocol/database/${version}`,
      cryptoProperties: { assetType: 'protocol', protocolProperties: { type: 'tls', version } },
    },
  ];
}

function describeCertificate({
  what,
  where,
  subject,
  issuer,
  notBefore,
  notAfter,
  signature,
  fingerprint,
}: Signed): Asset {
  return {
    type: 'cryptographic-asset',
    name: subject,
    'bom-ref': `certificate/${fingerprint}`,
    cryptoProperties: {
      assetType: 'certificate',
      certificateProperties: {
        subjectName: subject,
        issuerName: issuer,
        notValidBefore: notBefore,
        notValidAfter: notAfter,
        signatureAlgorithmRef: toRef(signature),
        certificateFormat: 'X.509',
      },
    },
    hashes: [{ alg: 'SHA-256', content: fingerprint }],
    evidence: { occurrences: [{ location: where }] },
    properties: [{ name: 'passkey-manager:use', value: what }],
  };
}

/** Describes a key by what is public of it: its algorithm, its size and the digest of its public part. */
function describeKey({ what, where, algorithm, size, fingerprint }: HeldKey): Asset {
  const bits = /^(\d+) bit$/.exec(size)?.[1];
  return {
    type: 'cryptographic-asset',
    name: `key: ${what}`,
    'bom-ref': `key/${fingerprint === '' ? `${what}/${where}` : fingerprint}`,
    cryptoProperties: {
      assetType: 'related-crypto-material',
      relatedCryptoMaterialProperties: {
        type: fingerprint === '' ? 'secret-key' : 'private-key',
        ...(fingerprint === '' ? {} : { id: fingerprint }),
        ...(bits === undefined ? {} : { size: Number(bits) }),
        algorithmRef: toRef(nameKey(algorithm, size)),
        securedBy: { mechanism: where.startsWith('pkcs11:') ? 'HSM' : 'None' },
      },
    },
    evidence: { occurrences: [{ location: where }] },
  };
}
