import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { prepareDevelopment } from '../../dev/prepare-development.js';
import { AccessPolicyError, parseAccessPolicy } from './access-policy.js';

const SERIAL = '5f3a9c0177';
const FINGERPRINT = '01ab'.repeat(16);

const EXAMPLE = `
version: 1
trustDomain: bank.example
services:
  - id: spiffe://bank.example/ns/prod/sa/auth-service
    permissions: [passkeys:register, passkeys:authenticate, passkeys:read, passkeys:manage]
    relyingParties: [login.bank.example]
    receiptAudiences: [https://shop.example, ledger]
    signalAudience: https://auth.bank.example
    requestsPerSecond: 500
  - id: spiffe://bank.example/ns/audit/sa/siem
    permissions: [audit:read, audit:export, approvals:decide]
    notAfter: 2027-06-30T00:00:00Z
deny:
  - { serial: "${SERIAL}" }
  - { fingerprint: "${FINGERPRINT}" }
  - { id: "spiffe://bank.example/ns/test/sa/auth-service" }
approvals:
  permissions: [passkeys:erase]
  ttlSeconds: 900
`;

/** Writes a policy of one service, followed by `rest`. */
const policy = (service: string, rest = ''): string =>
  `version: 1\ntrustDomain: bank.example\nservices:\n  - ${service.replaceAll('\n', '\n    ')}\n${rest}`;
const GOOD = 'id: spiffe://bank.example/a\npermissions: [audit:read]';

function listMistakes(text: string): readonly string[] {
  try {
    parseAccessPolicy(text);
  } catch (error) {
    if (error instanceof AccessPolicyError) return error.mistakes;
    throw error;
  }
  return [];
}

describe('an access policy', () => {
  it('is read with every member', () => {
    const { grants, ...read } = parseAccessPolicy(EXAMPLE);
    expect(read).toEqual({
      trustDomain: 'bank.example',
      digest: createHash('sha256').update(EXAMPLE).digest('hex'),
      deny: [{ serial: SERIAL }, { fingerprint: FINGERPRINT }, { id: 'spiffe://bank.example/ns/test/sa/auth-service' }],
      approvals: { permissions: new Set(['passkeys:erase']), ttlSeconds: 900 },
    });
    expect([...grants.values()]).toEqual([
      {
        id: 'spiffe://bank.example/ns/prod/sa/auth-service',
        permissions: new Set(['passkeys:register', 'passkeys:authenticate', 'passkeys:read', 'passkeys:manage']),
        relyingParties: ['login.bank.example'],
        receiptAudiences: ['https://shop.example', 'ledger'],
        signalAudience: 'https://auth.bank.example',
        requestsPerSecond: 500,
        notAfter: null,
      },
      {
        id: 'spiffe://bank.example/ns/audit/sa/siem',
        permissions: new Set(['audit:read', 'audit:export', 'approvals:decide']),
        relyingParties: null,
        receiptAudiences: [],
        signalAudience: null,
        requestsPerSecond: null,
        notAfter: new Date('2027-06-30T00:00:00Z'),
      },
    ]);
  });

  it('for development grants what the contract says', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'passkey-manager-'));
    try {
      await prepareDevelopment(directory);
      const { grants } = parseAccessPolicy(readFileSync(join(directory, 'access-policy.yaml'), 'utf8'));
      const granted = Object.fromEntries([...grants].map(([id, grant]) => [id, [...grant.permissions].sort()]));
      expect(granted).toEqual({
        'spiffe://passkey-manager.local/auth-service': [
          'events:manage',
          'events:receive',
          'passkeys:authenticate',
          'passkeys:confirm',
          'passkeys:manage',
          'passkeys:read',
          'passkeys:register',
          'payments:confirm',
        ],
        'spiffe://passkey-manager.local/operator': [
          'passkeys:erase',
          'passkeys:export',
          'passkeys:import',
          'passkeys:read',
          'relying-parties:read',
          'relying-parties:write',
          'statistics:read',
        ],
        'spiffe://passkey-manager.local/auditor': ['audit:export', 'audit:read', 'statistics:read'],
      });
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it.each(['a', 'a-b_c.9', 'a'.repeat(255)])('accepts the trust domain %s', (trustDomain) => {
    expect(parseAccessPolicy(policy(GOOD).replaceAll('bank.example', trustDomain)).trustDomain).toBe(trustDomain);
  });

  it.each(['a', '...', '..a', 'A-Z_0.9', 'ns/prod/sa/auth-service'])('accepts the identity /%s', (path) => {
    const id = `spiffe://bank.example/${path}`;
    expect([...parseAccessPolicy(policy(`id: ${id}\npermissions: [audit:read]`)).grants.keys()]).toEqual([id]);
  });

  it('has another digest when one byte differs', () => {
    const [one, two] = [GOOD, `${GOOD} `].map((service) => parseAccessPolicy(policy(service)).digest);
    expect(one).not.toBe(two);
  });

  it.each([0.1, 1, 1_000_000])('accepts %d requests a second', (rate) => {
    const [grant] = parseAccessPolicy(policy(`${GOOD}\nrequestsPerSecond: ${String(rate)}`)).grants.values();
    expect(grant?.requestsPerSecond).toBe(rate);
  });

  it('reports a mistake once, and an unknown permission with the list of permissions', () => {
    expect(listMistakes(policy(GOOD, 'deny: []\n'))).toHaveLength(1);
    expect(listMistakes(policy(GOOD, 'deny: [{}]\n'))).toHaveLength(1);
    expect(listMistakes(policy(GOOD.replace('audit:read', 'audit:reed')))).toEqual([
      expect.stringMatching(
        /"audit:reed" is not a permission; the permissions are passkeys:register, .*, events:receive$/,
      ),
    ]);
  });

  it('reports every mistake at once', () => {
    const text = policy('id: nonsense\npermissions: [audit:reed]\nrate: 5', 'extra: 1\n').replace('version: 1', '');
    expect(listMistakes(text).length).toBeGreaterThanOrEqual(5);
    expect(() => parseAccessPolicy(text)).toThrow(/cannot be used:\n {2}- .*\n {2}- /);
  });
});

describe('an access policy is refused when', () => {
  it.each<[string, string, RegExp]>([
    ['it is empty', '', /the policy must be a mapping/],
    ['it is a list', '[]', /the policy must be a mapping/],
    ['it is not YAML', 'version: [', /./],
    ['it is two documents', `${policy(GOOD)}---\n${policy(GOOD)}`, /multiple documents/],
    ['its version is another', policy(GOOD).replace('1', '2'), /^version must be 1/],
    ['its version is text', policy(GOOD).replace('version: 1', 'version: "1"'), /^version must be 1/],
    ['it has no trust domain', policy(GOOD).replace(/trustDomain.*/, ''), /^trustDomain must/],
    [
      'its trust domain is not a domain',
      policy(GOOD).replace('bank.example', '"bank.example/ns"'),
      /^trustDomain must/,
    ],
    ['its trust domain is too long', policy(GOOD).replaceAll('bank.example', 'a'.repeat(256)), /^trustDomain must/],
    ['its trust domain is in capitals', policy(GOOD).replaceAll('bank.example', 'Bank.example'), /^trustDomain must/],
    ['it has no services', 'version: 1\ntrustDomain: bank.example', /^services must be a list/],
    ['its services are none', 'version: 1\ntrustDomain: bank.example\nservices: []', /^services must be a list/],
    ['its services are a mapping', 'version: 1\ntrustDomain: b.example\nservices: {a: 1}', /^services must be a list/],
    ['it has an unknown key', policy(GOOD, 'allow: []\n'), /unknown key "allow"/],
    ['it has a key twice', policy(GOOD, 'version: 1\n'), /unique/],
    ['it has a key of every object', policy(GOOD, '__proto__: {}\n'), /unknown key "__proto__"/],
    [
      'it has an alias',
      policy('id: spiffe://bank.example/a\npermissions: &p [audit:read]\nrelyingParties: *p'),
      /a YAML alias/,
    ],
    ['it has an anchor that nothing uses', policy(GOOD.replace('audit:read', '&p audit:read')), /^a YAML anchor/],
    [
      'it says that it is YAML 1.1, in which 010 is 8',
      `%YAML 1.1\n---\n${policy(`${GOOD}\nrequestsPerSecond: 010`)}`,
      /^a YAML directive/,
    ],
    [
      'it says so behind a byte order mark and a comment',
      `\uFEFF# policy\n%YAML 1.1\n---\n${policy(GOOD)}`,
      /^a YAML directive/,
    ],
    [
      'it says that it is YAML 1.1, whose merge keys grant',
      `%YAML 1.1\n---\n${policy(`id: spiffe://bank.example/a\n<<: {permissions: [audit:read]}`)}`,
      /^a YAML directive/,
    ],
    ['it says that it is YAML 1.2', `%YAML 1.2\n---\n${policy(GOOD)}`, /^a YAML directive/],
    [
      'it says what a tag means',
      `%TAG ! tag:yaml.org,2002:\n---\n${policy(GOOD.replace('audit:read', '!str audit:read'))}`,
      /^a YAML directive/,
    ],
    ['it has an unknown directive', `%POLICY 1\n---\n${policy(GOOD)}`, /directive/],
    ['it has a tag of YAML itself', policy(`${GOOD}\nrequestsPerSecond: !!int "5"`), /^a YAML tag/],
    ['a mapping has a tag', policy(GOOD).replace('services:', 'services: !!seq'), /^a YAML tag/],
    ['it has a merge key', policy(`${GOOD}\n<<: {notAfter: 2027-01-01T00:00:00Z}`), /unknown key "<<"/],
    ['it has a tag', policy(GOOD.replace('spiffe', '!secret spiffe')), /tag/],
  ])('%s', (_, text, mistake) => {
    expect(listMistakes(text).join('\n')).toMatch(mistake);
  });

  it.each<[string, string, RegExp]>([
    ['a service is text', 'auditor', /^services\[0\] must be a mapping/],
    ['a service has an unknown key', `${GOOD}\nrequestPerSecond: 5`, /unknown key "requestPerSecond"/],
    ['a service has a key twice', `${GOOD}\npermissions: [audit:export]`, /unique/],
    ['a service has no id', 'permissions: [audit:read]', /services\[0\]\.id must/],
    ['an id is of another trust domain', GOOD.replace('bank', 'evil'), /services\[0\]\.id is not in the trust domain/],
    ['an id only begins like the trust domain', GOOD.replace('example', 'example.evil'), /not in the trust domain/],
    ['an id is the trust domain', GOOD.replace('/a\n', '\n'), /\.id must/],
    ['an id ends in a slash', GOOD.replace('/a\n', '/a/\n'), /\.id must/],
    ['an id has an empty segment', GOOD.replace('/a\n', '//a\n'), /\.id must/],
    ['an id has a dot segment', GOOD.replace('/a\n', '/a/..\n'), /\.id must/],
    ['an id has a dot for a segment', GOOD.replace('/a\n', '/./a\n'), /\.id must/],
    ['an id has a wildcard', GOOD.replace('/a\n', '/*\n'), /\.id must/],
    ['an id has a query', GOOD.replace('/a\n', '/a?x\n'), /\.id must/],
    ['an id is encoded', GOOD.replace('/a\n', '/%61\n'), /\.id must/],
    ['an id has another scheme', GOOD.replace('spiffe', 'https'), /\.id must/],
    ['permissions are absent', 'id: spiffe://bank.example/a', /\.permissions must be a list/],
    ['permissions are none', 'id: spiffe://bank.example/a\npermissions: []', /\.permissions must be a list/],
    ['permissions are text', 'id: spiffe://bank.example/a\npermissions: audit:read', /\.permissions must be a list/],
    ['a permission does not exist', GOOD.replace('audit:read', 'audit:write'), /"audit:write" is not a permission/],
    ['a permission is in capitals', GOOD.replace('audit:read', 'Audit:Read'), /"Audit:Read" is not a permission/],
    ['a permission is a wildcard', GOOD.replace('audit:read', '"audit:*"'), /\.permissions/],
    ['a permission is everything', GOOD.replace('audit:read', '"*"'), /\.permissions/],
    ['a permission occurs twice', GOOD.replace('audit:read', 'audit:read, audit:read'), /has an entry twice/],
    ['a permission is a number', GOOD.replace('audit:read', '1'), /\.permissions must be text/],
    ['relying parties are none', `${GOOD}\nrelyingParties: []`, /\.relyingParties must be a list/],
    ['relying parties are null', `${GOOD}\nrelyingParties:`, /\.relyingParties must be a list/],
    ['a relying party is a wildcard', `${GOOD}\nrelyingParties: ["*.example"]`, /\.relyingParties must be text/],
    ['a relying party ends in a wildcard', `${GOOD}\nrelyingParties: ["login.*"]`, /\.relyingParties must be text/],
    [
      'a relying party is a URL',
      `${GOOD}\nrelyingParties: [https://login.example]`,
      /\.relyingParties "https:\/\/login\.example" is not an RP ID/,
    ],
    [
      'a relying party is in capitals',
      `${GOOD}\nrelyingParties: [Login.example]`,
      /\.relyingParties "Login\.example" is not an RP ID/,
    ],
    ['a relying party ends in a dot', `${GOOD}\nrelyingParties: [login.example.]`, /is not an RP ID/],
    ['a relying party has a space', `${GOOD}\nrelyingParties: ["login.example "]`, /is not an RP ID/],
    ['a relying party is an address', `${GOOD}\nrelyingParties: [192.0.2.1]`, /is not an RP ID/],
    ['a relying party occurs twice', `${GOOD}\nrelyingParties: [a.example, a.example]`, /has an entry twice/],
    ['audiences are none', `${GOOD}\nreceiptAudiences: []`, /\.receiptAudiences must be a list/],
    ['audiences are null', `${GOOD}\nreceiptAudiences:`, /\.receiptAudiences must be a list/],
    ['audiences are text', `${GOOD}\nreceiptAudiences: shop`, /\.receiptAudiences must be a list/],
    ['an audience is a wildcard', `${GOOD}\nreceiptAudiences: ["*"]`, /\.receiptAudiences must be text/],
    ['an audience has one', `${GOOD}\nreceiptAudiences: ["https://*.example"]`, /\.receiptAudiences must be text/],
    ['an audience has a space', `${GOOD}\nreceiptAudiences: ["a shop"]`, /"a shop" is not a name or a URI/],
    ['an audience has 257 characters', `${GOOD}\nreceiptAudiences: [${'a'.repeat(257)}]`, /is not a name or a URI/],
    ['an audience is a number', `${GOOD}\nreceiptAudiences: [7]`, /\.receiptAudiences must be text/],
    ['an audience occurs twice', `${GOOD}\nreceiptAudiences: [a, a]`, /\.receiptAudiences has an entry twice/],
    ['the rate is 0', `${GOOD}\nrequestsPerSecond: 0`, /\.requestsPerSecond must/],
    ['the rate is above a million', `${GOOD}\nrequestsPerSecond: 1000000.5`, /\.requestsPerSecond must/],
    ['the rate is negative', `${GOOD}\nrequestsPerSecond: -1`, /\.requestsPerSecond must/],
    ['the rate is text', `${GOOD}\nrequestsPerSecond: "5"`, /\.requestsPerSecond must/],
    ['the rate is infinite', `${GOOD}\nrequestsPerSecond: .inf`, /\.requestsPerSecond must/],
    ['the rate is not a number', `${GOOD}\nrequestsPerSecond: .nan`, /\.requestsPerSecond must/],
    ['the rate is null', `${GOOD}\nrequestsPerSecond:`, /\.requestsPerSecond must/],
    ['the end is a day', `${GOOD}\nnotAfter: 2027-06-30`, /\.notAfter must be an RFC 3339 time/],
    ['the end has no time zone', `${GOOD}\nnotAfter: 2027-06-30T00:00:00`, /\.notAfter must be an RFC 3339 time/],
    ['the end is not a real day', `${GOOD}\nnotAfter: 2027-02-30T00:00:00Z`, /\.notAfter must be an RFC 3339 time/],
    ['the end is a year', `${GOOD}\nnotAfter: 2027`, /\.notAfter must be an RFC 3339 time/],
    ['the end is in words', `${GOOD}\nnotAfter: never`, /\.notAfter must be an RFC 3339 time/],
    ['the end is null', `${GOOD}\nnotAfter:`, /\.notAfter must be an RFC 3339 time/],
  ])('%s', (_, service, mistake) => {
    expect(listMistakes(policy(service)).join('\n')).toMatch(mistake);
  });

  it('an identity occurs twice', () => {
    const twice = policy(GOOD).replace(/ {2}- (.|\n)*/, (service) => service + service);
    expect(listMistakes(twice)).toEqual(['services[1].id repeats spiffe://bank.example/a']);
  });

  it.each<[string, string, RegExp]>([
    ['the deny list is empty', 'deny: []', /^deny must be a list/],
    ['the deny list is a mapping', 'deny: {serial: 5f}', /^deny must be a list/],
    ['a denial is text', 'deny: [5f3a]', /^deny\[0\] must be a mapping/],
    ['a denial is of nothing', 'deny: [{}]', /must have exactly one of id, serial, fingerprint, publicKey/],
    ['a denial is of two', `deny: [{serial: "5f", fingerprint: ${FINGERPRINT}}]`, /exactly one/],
    ['a denial is of something else', 'deny: [{subject: x}]', /unknown key "subject"/],
    ['a denied serial number is a number', 'deny: [{serial: 5}]', /\.serial must be text/],
    ['a denied serial number is not hexadecimal', 'deny: [{serial: "5g"}]', /\.serial must be text/],
    ['a denied serial number has 22 bytes', `deny: [{serial: "${'5f'.repeat(22)}"}]`, /\.serial must be text/],
    ['a denied serial number has half a byte', 'deny: [{serial: "5f3"}]', /\.serial must be text/],
    ['a denied fingerprint is cut short', 'deny: [{fingerprint: "ab01"}]', /\.fingerprint must be text/],
    ['a denied fingerprint is SHA-1', `deny: [{fingerprint: "${'ab'.repeat(20)}"}]`, /\.fingerprint must be text/],
    ['a denied public key is cut short', 'deny: [{publicKey: "ab01"}]', /\.publicKey must be text/],
    ['a denied identity is not a SPIFFE ID', 'deny: [{id: auditor}]', /\.id must be text/],
    ['a denied identity is of another trust domain', 'deny: [{id: "spiffe://other/a"}]', /not in the trust domain/],
    ['a denied identity has a wildcard', 'deny: [{id: "spiffe://bank.example/*"}]', /\.id must be text/],
  ])('%s, which would lock nobody out', (_, deny, mistake) => {
    expect(listMistakes(policy(GOOD, `${deny}\n`)).join('\n')).toMatch(mistake);
  });
});

describe('a denial', () => {
  it.each([
    ['5F3A', '5f3a'],
    ['5f:3a', '5f3a'],
    ['00:F1:3A', 'f13a'],
    ['00:00:00:0A', '0a'],
    ['00', '00'],
    [`00${'9F'.repeat(20)}`, '9f'.repeat(20)],
  ])('is the same for the serial number %s, as a tool shows it, and for %s', (shown, serial) => {
    expect(parseAccessPolicy(policy(GOOD, `deny: [{serial: "${shown}"}]\n`)).deny).toEqual([{ serial }]);
  });

  it.each(['fingerprint', 'publicKey'])(
    'is the same for a %s with colons in capitals and for the same without',
    (member) => {
      const shown = FINGERPRINT.toUpperCase().replace(/..(?=.)/g, '$&:');
      const { deny } = parseAccessPolicy(policy(GOOD, `deny: [{${member}: "${shown}"}]\n`));
      expect(deny).toEqual([{ [member]: FINGERPRINT }]);
    },
  );
});

describe('the approvals of a policy', () => {
  const DECIDING = GOOD.replace('audit:read', 'audit:read, approvals:decide');
  const read = (lines: string) => parseAccessPolicy(policy(DECIDING, `approvals:\n  ${lines}\n`)).approvals;

  it('are not asked for unless the policy says so', () => {
    expect(parseAccessPolicy(policy(GOOD)).approvals).toBeNull();
  });

  it('stand for an hour by default', () => {
    expect(read('permissions: [passkeys:erase, relying-parties:write]')).toEqual({
      permissions: new Set(['passkeys:erase', 'relying-parties:write']),
      ttlSeconds: 3_600,
    });
  });

  it.each([60, 86_400])('stand for %d seconds', (ttlSeconds) => {
    expect(read(`permissions: [passkeys:erase]\n  ttlSeconds: ${String(ttlSeconds)}`)).toMatchObject({ ttlSeconds });
  });

  const NEED = 'permissions: [passkeys:erase]';
  it.each<[string, string, RegExp]>([
    ['they are null', 'approvals:', /^approvals must be a mapping/],
    ['they are a list', 'approvals: [passkeys:erase]', /^approvals must be a mapping/],
    ['they have an unknown key', `approvals: {${NEED}, ttl: 60}`, /^approvals has an unknown key "ttl"/],
    ['they name no permission', 'approvals: {}', /^approvals\.permissions must be a list/],
    ['their permissions are none', 'approvals: {permissions: []}', /^approvals\.permissions must be a list/],
    ['a permission occurs twice', 'approvals: {permissions: [passkeys:erase, passkeys:erase]}', /has an entry twice/],
    [
      'a permission cannot need an approval',
      'approvals: {permissions: [passkeys:register]}',
      /^approvals\.permissions "passkeys:register" cannot need an approval; .* passkeys:erase, relying-parties:write, seal-keys:force-retire$/,
    ],
    ['a permission is a wildcard', 'approvals: {permissions: ["passkeys:*"]}', /^approvals\.permissions/],
    ['they stand for less than a minute', `approvals: {${NEED}, ttlSeconds: 59}`, /^approvals\.ttlSeconds must be/],
    ['they stand for more than a day', `approvals: {${NEED}, ttlSeconds: 86401}`, /^approvals\.ttlSeconds must be/],
    ['they stand for a part of a second', `approvals: {${NEED}, ttlSeconds: 60.5}`, /^approvals\.ttlSeconds must be/],
    ['their time is text', `approvals: {${NEED}, ttlSeconds: "60"}`, /^approvals\.ttlSeconds must be/],
    ['their time is null', `approvals: {${NEED}, ttlSeconds: }`, /^approvals\.ttlSeconds must be/],
  ])('are refused when %s', (_, lines, mistake) => {
    expect(listMistakes(policy(DECIDING, `${lines}\n`))).toContainEqual(expect.stringMatching(mistake));
  });

  it('are refused when nobody could decide', () => {
    expect(listMistakes(policy(GOOD, `approvals: {${NEED}}\n`))).toEqual([
      'approvals needs a service with the permission approvals:decide, and there is none',
    ]);
  });
});
