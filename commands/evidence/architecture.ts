import { isLocal, parseDatabaseUrl } from '../../src/config/database-url.js';
import {
  CALM_SCHEMA,
  type CalmArchitecture,
  type CalmFlow,
  type CalmNode,
  type CalmRelationship,
  findBrokenReferences,
  validateArchitecture,
} from './calm.js';
import { demandTls, demandZeroTrust, describeControls, describeDatabaseTls, isEncrypted } from './calm-controls.js';
import { formatTable, type Part, type Sources } from './part.js';

/**
 * Describes the architecture in CALM, with the configuration of this service in the two controls.
 *
 * @param schemas the directory of CALM's meta-schemas; undefined: they are not here
 * @throws CalmSchemaError
 */
export function describeArchitecture(sources: Sources, schemas: string | undefined): Part {
  const architecture = buildArchitecture(sources);
  const broken = findBrokenReferences(architecture);
  const validation = schemas === undefined ? undefined : validateArchitecture(architecture, schemas);
  const { nodes, relationships } = architecture;
  return {
    file: 'architecture.calm.json',
    title: 'Architecture in FINOS CALM 1.2 (1.2.3, 1.2.4)',
    content: architecture,
    summary: [
      ...formatTable(
        ['relationship', 'protocol', 'controls'],
        relationships.map((each) => [each['unique-id'], each.protocol, Object.keys(each.controls ?? {}).join(', ')]),
      ),
      '',
      `${String(nodes.length)} nodes: ${nodes.map(({ name }) => name).join(', ')}. The file has the configuration of this service in its controls; what it says of other nodes is what the architecture demands of them.`,
      '',
      ...(isEncrypted(sources) || !isOnThisMachine(sources.config.databaseUrl)
        ? []
        : ['The database is on this machine: the connection has no TLS and does not leave the machine.', '']),
      ...(validation
        ? [
            `Validated against CALM’s meta-schemas: ${validation.valid ? 'valid' : 'not valid'}. Their SHA-256:`,
            '',
            ...formatTable(['schema', 'SHA-256'], Object.entries(validation.schemas)),
          ]
        : ['Not validated against CALM’s meta-schemas, because they were not given.']),
    ],
    open: [
      ...(validation
        ? []
        : ['The architecture was not validated: give the directory calm/release/1.2/meta of FINOS by --calm-schemas.']),
      ...describeWeaknesses(sources),
    ],
    faults: [...broken, ...(validation?.mistakes ?? [])].map((mistake) => `The architecture: ${mistake}.`),
  };
}

function describeWeaknesses(sources: Sources): string[] {
  const {
    config,
    inventory: { listener, database },
  } = sources;
  return [
    ...(config.production
      ? []
      : ['This is a development configuration: its authority, keys and access policy are made for trials.']),
    ...(listener?.protocols.some((protocol) => protocol !== 'TLSv1.3')
      ? [`The listener offers ${listener.protocols.join(' and ')}.`]
      : []),
    ...(isEncrypted(sources) || isOnThisMachine(config.databaseUrl)
      ? []
      : [`The connection to the database that this program made has no TLS (${database.agreed}): say why (4.2.1).`]),
  ];
}

/** Reports whether the database is the embedded one or another on loopback. */
function isOnThisMachine(databaseUrl: string | undefined): boolean {
  return databaseUrl === undefined || isLocal(parseDatabaseUrl(databaseUrl));
}

function buildArchitecture(sources: Sources): CalmArchitecture {
  const { config, version } = sources;
  return {
    $schema: CALM_SCHEMA,
    nodes: buildNodes(sources),
    relationships: buildRelationships(sources),
    flows: [SIGN_IN],
    metadata: {
      name: 'Passkey-WebAuthN-Architecture',
      deployment: config.deploymentName,
      environment: config.production ? 'production' : 'development',
      compliance: 'PCI-DSS',
      version,
    },
    adrs: ['docs/adr'],
  };
}

function buildNodes(sources: Sources): CalmNode[] {
  const { config, inventory, policy } = sources;
  const database = config.databaseUrl === undefined ? undefined : parseDatabaseUrl(config.databaseUrl);
  return [
    {
      'unique-id': 'web-client',
      'node-type': 'webclient',
      name: 'Web Client',
      description: 'The browser of the user, which asks the authenticator for passkeys by WebAuthn.',
    },
    {
      'unique-id': 'api-gateway',
      'node-type': 'service',
      name: 'API Gateway',
      description: 'Ends HTTPS of browsers and passes their requests on.',
    },
    {
      'unique-id': 'auth-service',
      'node-type': 'service',
      name: 'Authentication Service',
      description: 'Signs users in: has passkeys verified, and gets tokens of the identity provider.',
      controls: { ...demandTls('mTLS'), ...demandZeroTrust() },
    },
    {
      'unique-id': 'passkey-manager',
      'node-type': 'service',
      name: 'Passkey Manager',
      description:
        'Owns passkeys: issues challenges, verifies registrations and authentications, and keeps an audit log.',
      interfaces: [
        { 'unique-id': 'callers', host: config.https.host, port: config.https.port, protocol: 'mTLS' },
        { 'unique-id': 'management', host: config.management.host, port: config.management.port, protocol: 'HTTP' },
      ],
      controls: describeControls(sources),
      metadata: { compliance: 'PCI-DSS', trustDomain: policy?.trustDomain ?? null },
    },
    {
      'unique-id': 'identity-provider',
      'node-type': 'service',
      name: 'Identity Provider',
      description: 'Issues tokens (OIDC).',
      controls: { ...demandTls(undefined), ...demandZeroTrust() },
    },
    {
      'unique-id': 'database',
      'node-type': 'database',
      name: 'PostgreSQL',
      description: 'Keeps passkeys and the audit log. Three roles have the least rights.',
      interfaces: (database?.servers ?? []).map(({ host, port }, at) => ({
        'unique-id': `server-${String(at + 1)}`,
        host,
        port,
      })),
      metadata: { server: inventory.database.server, roleOfThisProgram: inventory.database.role },
    },
    {
      'unique-id': 'operator',
      'node-type': 'actor',
      name: 'Operators',
      description: 'Manage relying parties and passkeys, by certificates of their own.',
    },
    {
      'unique-id': 'auditor',
      'node-type': 'actor',
      name: 'Auditors',
      description: 'Read and export the audit log, by certificates of their own, and verify it offline.',
    },
  ];
}

function connect(
  id: string,
  source: string,
  destination: string,
  rest: Omit<CalmRelationship, 'unique-id' | 'relationship-type'>,
): CalmRelationship {
  return {
    'unique-id': id,
    'relationship-type': {
      connects: {
        source: { node: source },
        destination:
          destination === 'passkey-manager' ? { node: destination, interfaces: ['callers'] } : { node: destination },
      },
    },
    ...rest,
  };
}

function buildRelationships(sources: Sources): CalmRelationship[] {
  const own = describeControls(sources);
  return [
    connect('web-client-to-api-gateway', 'web-client', 'api-gateway', {
      description: 'The browser sends the answers of authenticators.',
      protocol: 'HTTPS',
      controls: demandTls(undefined),
    }),
    connect('api-gateway-to-auth-service', 'api-gateway', 'auth-service', {
      description: 'The gateway passes requests on.',
      protocol: 'HTTPS',
      controls: { ...demandTls(undefined), ...demandZeroTrust() },
    }),
    connect('auth-service-to-passkey-manager', 'auth-service', 'passkey-manager', {
      description: 'auth-service has challenges issued and answers verified.',
      protocol: 'mTLS',
      controls: own,
    }),
    connect('auth-service-to-identity-provider', 'auth-service', 'identity-provider', {
      description: 'auth-service gets tokens (OIDC).',
      protocol: 'HTTPS',
      controls: { ...demandTls(undefined), ...demandZeroTrust() },
    }),
    connect('operator-to-passkey-manager', 'operator', 'passkey-manager', {
      description: 'Operators manage relying parties and passkeys.',
      protocol: 'mTLS',
      controls: own,
    }),
    connect('auditor-to-passkey-manager', 'auditor', 'passkey-manager', {
      description: 'Auditors read, export and prove the log.',
      protocol: 'mTLS',
      controls: own,
    }),
    connect('passkey-manager-to-database', 'passkey-manager', 'database', {
      description: 'The service keeps passkeys and the audit log.',
      protocol: isEncrypted(sources) ? 'TLS' : 'TCP',
      controls: describeDatabaseTls(sources),
    }),
  ];
}

const SIGN_IN: CalmFlow = {
  'unique-id': 'auth-flow-001',
  name: 'Authentication Flow',
  description: 'A user signs in with a passkey.',
  transitions: [
    {
      'relationship-unique-id': 'web-client-to-api-gateway',
      'sequence-number': 1,
      description: 'The browser asks for a sign-in.',
    },
    {
      'relationship-unique-id': 'api-gateway-to-auth-service',
      'sequence-number': 2,
      description: 'The gateway passes it on.',
    },
    {
      'relationship-unique-id': 'auth-service-to-passkey-manager',
      'sequence-number': 3,
      description: 'The service issues a challenge, and later verifies its answer.',
    },
    {
      'relationship-unique-id': 'passkey-manager-to-database',
      'sequence-number': 4,
      description: 'The service stores the outcome together with its event.',
    },
    {
      'relationship-unique-id': 'auth-service-to-identity-provider',
      'sequence-number': 5,
      description: 'auth-service gets tokens for the user.',
    },
  ],
};
