import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { pino } from 'pino';
import { ConfigError, LOG_LEVELS, readConfig } from './config.js';

let directory: string;
let file: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'passkey-manager-'));
  file = join(directory, 'file');
  writeFileSync(file, 'content');
});
afterAll(() => {
  rmSync(directory, { recursive: true });
});

const FILES = [
  'PASSKEY_TLS_CERT_FILE',
  'PASSKEY_TLS_KEY_FILE',
  'PASSKEY_TLS_CA_FILE',
  'PASSKEY_TLS_CRL_FILE',
  'PASSKEY_ACCESS_POLICY_FILE',
  'PASSKEY_AUDIT_KEY_FILE',
  'PASSKEY_BINDING_KEY_FILE',
];

/** Every setting that the service reads. */
const SETTINGS = listSettings();
/** Files with rules of their own. */
const OTHER_FILES = [
  'DATABASE_URL_FILE',
  'PASSKEY_AUDIT_DATABASE_URL_FILE',
  'PASSKEY_DATABASE_PASSWORD_FILE',
  'PASSKEY_AUDIT_DATABASE_PASSWORD_FILE',
  'PASSKEY_AUDIT_ANCHOR_FILE',
  ...['RECEIVERS', 'CA', 'CERT', 'KEY'].map((what) => `PASSKEY_SIGNAL_PUSH_${what}_FILE`),
];
const OPTIONAL_FILES = SETTINGS.filter((name) => name.endsWith('_FILE') && ![...FILES, ...OTHER_FILES].includes(name));

function listSettings(): string[] {
  const names = new Set<string>();
  const note = (_: unknown, name: string | symbol): undefined => void names.add(String(name));
  readConfig(new Proxy<NodeJS.ProcessEnv>({}, { get: note }));
  return [...names];
}

const production = (): NodeJS.ProcessEnv => ({
  NODE_ENV: 'production',
  DATABASE_URL: 'postgresql://service@db.internal/passkeys?sslmode=verify-full',
  PASSKEY_SIGNAL_ISSUER: 'https://passkeys.bank.example',
  ...Object.fromEntries(FILES.map((name) => [name, file])),
});

function findMistakes(env: NodeJS.ProcessEnv): readonly string[] {
  try {
    readConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.mistakes;
    throw error;
  }
  return [];
}

/** Lists a value and every object in it, the value first. */
function listObjects(value: object): object[] {
  const inner = Object.values(value).filter(
    (member): member is object => typeof member === 'object' && member !== null,
  );
  return [value, ...inner.flatMap(listObjects)];
}

describe('development', () => {
  const data = resolve('.data');

  it('needs no setting at all', () => {
    expect(readConfig({})).toEqual({
      production: false,
      allowDevelopment: false,
      dataDir: data,
      databaseUrl: undefined,
      logLevel: 'warn',
      https: { host: '127.0.0.1', port: 8443 },
      management: { host: '127.0.0.1', port: 8081 },
      tls: {
        certFile: join(data, 'pki/server.crt'),
        keyFile: join(data, 'pki/server.key'),
        caFile: join(data, 'pki/ca.crt'),
        crlFile: join(data, 'pki/ca.crl'),
      },
      accessPolicyFile: join(data, 'access-policy.yaml'),
      relyingPartiesFile: undefined,
      attestationRootsFile: undefined,
      metadataBlobFile: undefined,
      auditKeyFile: join(data, 'audit.key'),
      deploymentName: 'default',
      bindingKeyFile: join(data, 'binding.key'),
      receiptKeyFile: join(data, 'receipt.key'),
      signals: { keyFile: join(data, 'signal.key'), issuer: 'https://localhost:8443' },
      signalLimits: { retentionHours: 168, mostWaiting: 1_000_000 },
      workers: 1,
      callerShare: 25,
      unknownSettings: [],
    });
  });

  it('treats an empty setting as an absent one', () => {
    const empty = new Proxy<NodeJS.ProcessEnv>({}, { get: () => '' });
    expect(readConfig(empty)).toEqual(readConfig({}));
  });

  it('keeps generated files in the configured directory', () => {
    const { dataDir, tls, bindingKeyFile } = readConfig({ PASSKEY_DATA_DIR: directory });
    expect([dataDir, tls.caFile, bindingKeyFile]).toEqual([
      directory,
      join(directory, 'pki/ca.crt'),
      join(directory, 'binding.key'),
    ]);
  });

  it('accepts every setting that production accepts', () => {
    const env = { ...production(), DATABASE_URL: 'postgresql://service@127.0.0.1/passkeys' };
    const signals = { keyFile: join(data, 'signal.key'), issuer: 'https://passkeys.bank.example' };
    const differences = { production: false, logLevel: 'warn', receiptKeyFile: join(data, 'receipt.key'), signals };
    expect(readConfig({ ...env, NODE_ENV: 'test' })).toEqual({ ...readConfig(env), ...differences });
  });
});

describe('production', () => {
  it('starts when every setting is given', () => {
    expect(readConfig(production())).toMatchObject({
      production: true,
      databaseUrl: 'postgresql://service@db.internal/passkeys?sslmode=verify-full',
      bindingKeyFile: file,
      tls: { certFile: file, keyFile: file, caFile: file, crlFile: file },
    });
  });

  it('uses no generated default, and reports every missing setting at once', () => {
    const mistakes = findMistakes({ NODE_ENV: 'production' });
    expect(mistakes).toHaveLength(FILES.length + 1);
    for (const name of ['DATABASE_URL', ...FILES]) {
      expect(mistakes).toContainEqual(expect.stringMatching(new RegExp(`^${name} is not set; NODE_ENV=production `)));
    }
  });

  it.each(['DATABASE_URL', ...FILES])('reports %s when it alone is missing', (name) => {
    const { [name]: _, ...env } = production();
    expect(findMistakes(env)).toEqual([expect.stringContaining(name)]);
  });

  it('says that short-lived certificates need no revocation list', () => {
    expect(findMistakes({ ...production(), PASSKEY_TLS_CRL_FILE: undefined })).toEqual([
      'PASSKEY_TLS_CRL_FILE is not set; NODE_ENV=production uses no generated default: name a revocation list, or set PASSKEY_TLS_SHORT_LIVED if no caller’s certificate lives longer than 72 hours',
    ]);
    expect(findMistakes({ ...production(), PASSKEY_TLS_CRL_FILE: undefined, PASSKEY_TLS_SHORT_LIVED: '72h' })).toEqual(
      [],
    );
  });

  it.each(OPTIONAL_FILES)('does not need %s', (name) => {
    expect(findMistakes({ ...production(), [name]: undefined })).toEqual([]);
    const other = join(directory, 'other');
    writeFileSync(other, 'content');
    const config = listObjects(readConfig({ ...production(), [name]: other }));
    expect(config.flatMap((object) => Object.values(object) as unknown[])).toContain(other);
  });

  it.each(['Production', 'prod', 'staging', 'production '])(
    'is not selected by NODE_ENV "%s", which is a mistake',
    (value) => {
      expect(findMistakes({ NODE_ENV: value })).toEqual([expect.stringContaining(`NODE_ENV is "${value}"`)]);
    },
  );
});

describe('the log level', () => {
  it('shows requests and reloads in production, and only what needs attention in development', () => {
    expect([readConfig({}).logLevel, readConfig(production()).logLevel]).toEqual(['warn', 'info']);
  });

  it.each(LOG_LEVELS)('may be %s, as pino names it', (level) => {
    expect(readConfig({ PASSKEY_LOG_LEVEL: level }).logLevel).toBe(level);
    expect(pino.levels.values).toHaveProperty(level);
  });

  it.each(['silent', 'INFO', 'information', '30'])('is never %s, which is a mistake', (level) => {
    const mistake = expect.stringContaining(`PASSKEY_LOG_LEVEL is "${level}"; it must be one of fatal, error`);
    expect(findMistakes({ PASSKEY_LOG_LEVEL: level })).toEqual([mistake]);
  });
});

describe('a port', () => {
  it.each([
    ['0', 0],
    ['1', 1],
    ['443', 443],
    ['65535', 65_535],
  ])('accepts %s', (text, port) => {
    const { https, management } = readConfig({ PASSKEY_HTTPS_PORT: text, PASSKEY_MANAGEMENT_PORT: text });
    expect([https.port, management.port]).toEqual([port, port]);
  });

  it.each(['65536', '99999', '-1', '1.5', '1e3', '0x50', ' 80', '80 ', 'http', '+80', '8443\n', '123456', '٨٠'])(
    'refuses "%s"',
    (text) => {
      expect(findMistakes({ PASSKEY_HTTPS_PORT: text, PASSKEY_MANAGEMENT_PORT: text })).toEqual([
        expect.stringMatching(/^PASSKEY_HTTPS_PORT is /),
        expect.stringMatching(/^PASSKEY_MANAGEMENT_PORT is /),
      ]);
    },
  );

  it('has a host', () => {
    const hosts = { PASSKEY_HTTPS_HOST: '::', PASSKEY_MANAGEMENT_HOST: '10.0.0.7' };
    const { https, management } = readConfig({ ...production(), ...hosts });
    expect([https.host, management.host]).toEqual(['::', '10.0.0.7']);
  });
});

describe('the number of workers', () => {
  it.each([
    ['1', 1],
    ['64', 64],
    ['auto', Math.min(64, availableParallelism())],
  ])('accepts %s', (text, workers) => {
    expect(readConfig({ PASSKEY_WORKERS: text }).workers).toBe(workers);
  });

  it.each(['0', '65', '-1', '1.5', '1e1', ' 2', 'all', 'Auto', '٢'])('refuses "%s"', (text) => {
    expect(findMistakes({ PASSKEY_WORKERS: text })).toEqual([
      `PASSKEY_WORKERS is "${text}"; it must be auto, or a number from 1 to 64`,
    ]);
  });
});

describe('the share of a caller', () => {
  it.each(['1', '50', '100'])('accepts %s percent', (text) => {
    expect(readConfig({ PASSKEY_CALLER_SHARE: text }).callerShare).toBe(Number(text));
  });

  it.each(['0', '101', '-1', '0.25', '25%', ' 25', '1e1'])('refuses "%s"', (text) => {
    expect(findMistakes({ PASSKEY_CALLER_SHARE: text })).toEqual([
      `PASSKEY_CALLER_SHARE is "${text}"; it must be a percentage from 1 to 100`,
    ]);
  });
});

describe('a file', () => {
  it.each([...FILES, ...OPTIONAL_FILES])('in %s must exist', (name) => {
    const path = join(directory, 'nothing');
    expect(findMistakes({ [name]: path })).toEqual([`${name} names "${path}", which cannot be read`]);
  });

  it.each([...FILES, ...OPTIONAL_FILES])('in %s must not be a directory', (name) => {
    expect(findMistakes({ [name]: directory })).toEqual([`${name} names "${directory}", which is a directory`]);
  });

  it('is reported by its absolute path, wherever the service was started', () => {
    expect(readConfig({ PASSKEY_BINDING_KEY_FILE: 'package.json' }).bindingKeyFile).toBe(resolve('package.json'));
  });
});

describe('every setting', () => {
  it.each(['README.md', 'docs/runbook.md'])('has its row in %s', (page) => {
    const table = /^\| variable .*(?:\n\|.*)+/m.exec(readFileSync(page, 'utf8'))?.[0] ?? '';
    expect(SETTINGS.length).toBeGreaterThan(20);
    expect(SETTINGS.filter((name) => !table.includes(`\`${name}\``))).toEqual([]);
  });
});

describe('the configuration', () => {
  it('is frozen down to the last object', () => {
    for (const object of listObjects(readConfig({}))) expect(Object.isFrozen(object)).toBe(true);
  });

  it('reports mistakes of every kind together', () => {
    const env = { NODE_ENV: 'x', PASSKEY_HTTPS_PORT: 'x', DATABASE_URL: 'x', PASSKEY_MDS_BLOB_FILE: directory };
    expect(findMistakes(env)).toHaveLength(4);
    expect(() => readConfig(env)).toThrow(
      /^The settings do not allow a start:\n {2}- .*\n {2}- .*\n {2}- .*\n {2}- .*$/,
    );
  });
});

describe('the lost checkpoints of the audit log', () => {
  const settings = (PASSKEY_AUDIT_LOST_CHECKPOINTS: string): NodeJS.ProcessEnv => ({
    ...production(),
    PASSKEY_AUDIT_LOST_CHECKPOINTS,
  });
  const root = Buffer.alloc(32, 7);

  it('have a size and a root each, as the checkpoint has them', () => {
    const [one, other] = [120, 121].map((size) => `${String(size)} ${root.toString('base64')}`);
    expect(readConfig(settings(`${one!},${other!}`)).auditLostCheckpoints).toEqual([
      { size: 120, root },
      { size: 121, root },
    ]);
    expect(readConfig(settings(`${one!}, ${other!}`)).auditLostCheckpoints).toHaveLength(2);
    expect(readConfig(settings('')).auditLostCheckpoints).toBeUndefined();
  });

  it.each(
    ['120', `0 ${root.toString('base64')}`, `-1 ${root.toString('base64')}`, `1.5 ${root.toString('base64')}`]
      .concat([root.toString('base64'), `120 ${root.toString('base64url')}`, `120  ${root.toString('base64')}`])
      .concat([`120 ${root.toString('base64')} `, `120 ${Buffer.alloc(31).toString('base64')}`]),
  )('cannot be %j', (text) => {
    expect(findMistakes(settings(text))).toEqual([expect.stringMatching(/^PASSKEY_AUDIT_LOST_CHECKPOINTS must have/)]);
  });
});

describe('the anchors of the audit log', () => {
  const settings = (PASSKEY_AUDIT_ANCHOR_FILE?: string, PASSKEY_AUDIT_ANCHOR_URL?: string): NodeJS.ProcessEnv => ({
    ...production(),
    PASSKEY_AUDIT_ANCHOR_FILE,
    PASSKEY_AUDIT_ANCHOR_URL,
  });

  it('can be none, a file that exists or can be made, and a URL', () => {
    expect(readConfig(settings())).toMatchObject({ auditAnchorFile: undefined, auditAnchorUrl: undefined });
    for (const path of [file, `${file}.new`]) expect(readConfig(settings(path)).auditAnchorFile).toBe(path);
    for (const url of ['https://worm.example/notes', 'http://localhost:9000']) {
      expect(readConfig(settings(undefined, url)).auditAnchorUrl).toBe(url);
    }
  });

  it.each([join(import.meta.dirname, 'nowhere', 'notes'), import.meta.dirname])('cannot be the file %j', (path) => {
    expect(findMistakes(settings(path))).toEqual([expect.stringMatching(/^PASSKEY_AUDIT_ANCHOR_FILE names /)]);
  });

  it.each(['ftp://worm.example', 'worm.example', 'https://user:secret@worm.example/'])(
    'cannot be the URL %j',
    (url) => {
      const [mistake = '', ...more] = findMistakes(settings(undefined, url));
      expect([mistake, more]).toEqual([expect.stringMatching(/^PASSKEY_AUDIT_ANCHOR_URL must be/), []]);
      expect(mistake).not.toContain('secret');
    },
  );
});

describe('the settings of signals', () => {
  const KEY = 'PASSKEY_SIGNAL_KEY_FILE';
  const ISSUER = 'PASSKEY_SIGNAL_ISSUER';

  it.each(['https://passkeys.bank.example', 'https://passkeys.bank.example:8443', 'https://[2001:db8::1]:8443'])(
    'take the issuer %s',
    (issuer) => {
      const { signals } = readConfig({ ...production(), [KEY]: file, [ISSUER]: issuer });
      expect(signals).toEqual({ keyFile: file, issuer });
    },
  );

  it.each([
    'http://passkeys.bank.example',
    'https://passkeys.bank.example/',
    'https://passkeys.bank.example/ssf',
    'https://passkeys.bank.example:443',
    'https://passkeys.bank.example?a',
    'https://passkeys.bank.example#a',
    'https://Passkeys.bank.example',
    'https://user@passkeys.bank.example',
    'passkeys.bank.example',
  ])('refuse the issuer %s', (issuer) => {
    const mistakes = findMistakes({ ...production(), [KEY]: file, [ISSUER]: issuer });
    expect(mistakes).toEqual([expect.stringContaining(`${ISSUER} is "${issuer}"`)]);
  });

  it('name the files of pushes; a file with certificate and key needs no other, and a key alone is a mistake', () => {
    const env = { ...production(), [KEY]: file, PASSKEY_SIGNAL_PUSH_RECEIVERS_FILE: file };
    expect(readConfig(env).signals?.push).toEqual({ receiversFile: file, caFile: undefined, client: undefined });
    const both = { ...env, PASSKEY_SIGNAL_PUSH_CA_FILE: file, PASSKEY_SIGNAL_PUSH_CERT_FILE: file };
    const client = { certFile: file, keyFile: file };
    expect(readConfig(both).signals?.push).toEqual({ receiversFile: file, caFile: file, client });
    expect(findMistakes({ ...env, PASSKEY_SIGNAL_PUSH_KEY_FILE: file })).toEqual([
      'PASSKEY_SIGNAL_PUSH_CERT_FILE is not set; PASSKEY_SIGNAL_PUSH_KEY_FILE needs it',
    ]);
  });

  it.each(['RECEIVERS', 'CA', 'CERT', 'KEY'])('need the file of PASSKEY_SIGNAL_PUSH_%s_FILE if it is set', (what) => {
    const name = `PASSKEY_SIGNAL_PUSH_${what}_FILE`;
    const mistakes = findMistakes({ ...production(), [KEY]: file, [name]: join(directory, 'none') });
    expect(mistakes[0]).toBe(`${name} names "${join(directory, 'none')}", which cannot be read`);
  });

  it('need an issuer, and without a key there are no signals', () => {
    expect(readConfig(production()).signals).toBeUndefined();
    expect(findMistakes({ ...production(), [KEY]: file, [ISSUER]: undefined })).toEqual([
      'PASSKEY_SIGNAL_ISSUER is not set; PASSKEY_SIGNAL_KEY_FILE needs it',
    ]);
  });
});
