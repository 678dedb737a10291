const database = (role: string): string =>
  `postgresql://${role}@postgres.example:5432/passkey_manager?sslmode=verify-full&sslrootcert=/etc/passkey-manager/database/ca.crt`;

/** The least that an operator must say. */
export const LEAST = {
  database: { url: database('passkey_manager') },
  migration: { databaseUrl: database('passkey_migrator') },
};

/** Values that together turn on each part of the chart. */
export const VALUE_SETS: Readonly<Record<string, object>> = {
  'the least': LEAST,
  'certificates by cert-manager’s CSI driver': {
    ...LEAST,
    tls: {
      source: 'certManagerCsi',
      certManagerCsi: { issuerName: 'workloads', dnsNames: ['passkeys.bank.example'] },
      crlConfigMap: 'crl',
    },
  },
  'certificates by cert-manager’s SPIFFE driver': {
    ...LEAST,
    tls: { source: 'certManagerSpiffe', crlConfigMap: '', shortLived: '25h' },
  },
  'certificates by SPIRE': {
    ...LEAST,
    tls: { source: 'spiffeHelper', crlConfigMap: '', shortLived: '2h' },
    imagePullSecrets: [{ name: 'registry' }],
  },
  'a writer of its own for the log': {
    ...LEAST,
    auditDatabase: { url: database('passkey_sequencer').replace('/database/', '/audit-database/') },
  },
  everything: {
    ...LEAST,
    image: { repository: 'registry.example/passkey-manager', digest: `sha256:${'0'.repeat(64)}` },
    workers: 'auto',
    relyingPartiesConfigMap: 'relying-parties',
    settings: { PASSKEY_AUDIT_ANCHOR_URL: 'https://witness.example/checkpoints', PASSKEY_CALLER_SHARE: 50 },
    extraVolumes: [{ name: 'metadata', configMap: { name: 'fido-metadata' } }],
    extraVolumeMounts: [{ name: 'metadata', mountPath: '/etc/passkey-manager/metadata', readOnly: true }],
    autoscaling: { enabled: true },
    monitoring: {
      serviceMonitor: true,
      prometheusRule: true,
      runbookBase: 'https://git.bank.example/passkey-manager/',
      dashboards: true,
      labels: { release: 'prometheus' },
    },
    networkPolicy: {
      database: [{ ipBlock: { cidr: '192.0.2.0/24' } }],
      extraEgress: [{ to: [{ ipBlock: { cidr: '198.51.100.7/32' } }], ports: [{ protocol: 'TCP', port: 443 }] }],
    },
    service: { type: 'LoadBalancer', annotations: { 'example.com/internal': 'true' } },
    podAnnotations: { 'example.com/team': 'identity' },
    nodeSelector: { 'kubernetes.io/arch': 'amd64' },
    tolerations: [{ key: 'dedicated', operator: 'Exists' }],
    priorityClassName: 'critical',
  },
  'signals that receivers poll, and receipts': {
    ...LEAST,
    receipts: { enabled: true },
    signals: { issuer: 'https://passkeys.bank.example' },
  },
  'signals that are pushed': {
    ...LEAST,
    signals: {
      issuer: 'https://passkeys.bank.example:8443',
      push: { receiversConfigMap: 'push-receivers', caConfigMap: 'push-ca', clientSecret: 'push-client' },
    },
    networkPolicy: { pushReceivers: [{ ipBlock: { cidr: '203.0.113.0/24' } }], pushPorts: [443, 8443] },
  },
  'neither migration nor network policy': {
    ...LEAST,
    migration: { enabled: false },
    networkPolicy: { enabled: false },
  },
};

/** Values that the schema of the values refuses, and what it then names. */
export const WRONG_VALUES: readonly (readonly [mistake: string, values: object, named: RegExp])[] = [
  ['no database', {}, /database[./]url/],
  ['a password in the URL', { ...LEAST, database: { url: 'postgresql://role:secret@db/passkeys' } }, /database[./]url/],
  ['no database to migrate', { database: LEAST.database }, /migration[./]databaseUrl/],
  ['a value that does not exist', { ...LEAST, replicas: 3 }, /replicas/],
  ['a setting that the chart makes', { ...LEAST, settings: { PASSKEY_WORKERS: '2' } }, /PASSKEY_WORKERS/],
  ['a variable that is no setting', { ...LEAST, settings: { LD_PRELOAD: '/tmp/x.so' } }, /LD_PRELOAD/],
  ['callers from everywhere', { ...LEAST, networkPolicy: { callers: [] } }, /networkPolicy[./]callers/],
  ['a peer that is everybody', { ...LEAST, networkPolicy: { callers: [{}] } }, /networkPolicy[./]callers/],
  ['pushes without an issuer', { ...LEAST, signals: { push: { receiversConfigMap: 'push' } } }, /signals[./]issuer/],
  ['an issuer with a path', { ...LEAST, signals: { issuer: 'https://bank.example/' } }, /signals[./]issuer/],
  ['the CAs of receivers without receivers', { ...LEAST, signals: { push: { caConfigMap: 'ca' } } }, /caConfigMap/],
  [
    'an issuer of signals that goes past the chart',
    { ...LEAST, settings: { PASSKEY_SIGNAL_ISSUER: 'x' } },
    /PASSKEY_SIGNAL_ISSUER/,
  ],
  ['pushes to no port', { ...LEAST, networkPolicy: { pushPorts: [] } }, /networkPolicy[./]pushPorts/],
  ['no issuer', { ...LEAST, tls: { source: 'certManagerCsi' } }, /issuerName/],
  ['neither lists nor a longest life', { ...LEAST, tls: { crlConfigMap: '' } }, /tls/],
  ['an unknown source of certificates', { ...LEAST, tls: { source: 'vault' } }, /tls[./]source/],
  ['a digest that is none', { ...LEAST, image: { digest: 'latest' } }, /image[./]digest/],
  ['no metric', { ...LEAST, autoscaling: { cpuUtilization: null, requestsInFlight: null } }, /autoscaling/],
  ['no time to leave the Service', { ...LEAST, drainDelay: 0 }, /drainDelay/],
];
