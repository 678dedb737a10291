import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Logger } from '@nestjs/common';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { FakeAudit } from '../../test/support/fake-audit.js';
import { type Config, ConfigError } from '../config/config.js';
import { MARK } from '../config/development.js';
import { Metrics } from '../telemetry/metrics.js';
import { ReceiptKeys } from './receipt-keys.js';

type Kind = 'P-256' | 'P-384' | 'ed25519' | 'ed448' | 'rsa';

function makeKey(kind: Kind): string {
  const { privateKey } =
    kind === 'rsa'
      ? generateKeyPairSync('rsa', { modulusLength: 2_048 })
      : kind.startsWith('P-')
        ? generateKeyPairSync('ec', { namedCurve: kind })
        : generateKeyPairSync(kind as 'ed25519');
  return privateKey.export({ type: 'pkcs8', format: 'pem' });
}

const [ES256, ED25519] = [makeKey('P-256'), makeKey('ed25519')];

Logger.overrideLogger(false);

let directory: string;
let file: string;
let audit: FakeAudit;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'passkey-manager-receipts-'));
  file = join(directory, 'receipt.key');
  audit = new FakeAudit();
});
afterEach(() => rm(directory, { recursive: true }));

async function open(content: string, config: Partial<Config> = {}): Promise<ReceiptKeys> {
  await writeFile(file, content);
  const settings = { receiptKeyFile: file, production: true, allowDevelopment: false, ...config };
  const keys = new ReceiptKeys(settings, new Metrics(), audit.service);
  await keys.onModuleInit();
  return keys;
}

/** The service reads a file twice before it reports that it cannot use it. */
async function change(keys: ReceiptKeys, content: string): Promise<void> {
  await writeFile(file, content);
  await keys.reload();
  await keys.reload();
}

const listKids = ({ published }: ReceiptKeys): string[] =>
  (JSON.parse(published.body) as { keys: { kid: string }[] }).keys.map(({ kid }) => kid);

describe('PASSKEY_RECEIPT_KEY_FILE', () => {
  it.each([
    ['ES256', ES256],
    ['Ed25519', ED25519],
  ])('holds keys for %s, with any text between, and the first one signs', async (algorithm, first) => {
    const keys = await open(`# now\n${first}\r\n\nlater:\n${first === ES256 ? ED25519 : ES256}`);
    const { signs, published } = keys.describeState()!;
    expect(keys.signer).toMatchObject({ algorithm, kid: signs });
    expect(listKids(keys)).toEqual([signs, ...published]);
  });

  it('may be missing, and then no key signs and none is published', async () => {
    const keys = new ReceiptKeys({ production: true, allowDevelopment: false }, new Metrics(), audit.service);
    await keys.onModuleInit();
    await keys.reload();
    expect([keys.signer, listKids(keys), keys.describeState()]).toEqual([undefined, [], undefined]);
  });

  const MISTAKES: [string, () => string, string][] = [
    ['nothing', () => '', 'has no private key in PEM (PKCS #8)'],
    ['a key cut short', () => ES256 + ED25519.slice(0, -30), 'has a PEM block that is not a whole private key'],
    [
      'a certificate',
      () => `${ES256}-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n`,
      'has a PEM block',
    ],
    [
      'an encrypted key',
      () => {
        const { privateKey } = generateKeyPairSync('ed25519');
        const encryption = { cipher: 'aes-256-cbc', passphrase: 'secret' };
        return ES256 + privateKey.export({ type: 'pkcs8', format: 'pem', ...encryption });
      },
      'has a PEM block that is not a whole private key (PKCS #8, not encrypted)',
    ],
    [
      'no key in PEM',
      () => '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n',
      'cannot be used: key 1 cannot be read',
    ],
    ['a key on P-384', () => ES256 + makeKey('P-384'), 'cannot be used: key 2 is neither on P-256 nor Ed25519'],
    ['an Ed448 key', () => makeKey('ed448'), 'cannot be used: key 1 is neither'],
    ['an RSA key', () => makeKey('rsa'), 'cannot be used: key 1 is neither'],
    ['the same key twice', () => ES256 + ED25519 + ES256, 'has a key twice'],
    ['nine keys', () => Array.from({ length: 9 }, () => makeKey('ed25519')).join(''), 'has more than 8 keys'],
    ['a key that development generated', () => `${MARK}\n${ES256}`, 'holds a key that development generated'],
  ];

  it.each(MISTAKES)('stops the boot if it holds %s, and says so', async (_, content, message) => {
    const opened = open(content());
    await expect(opened).rejects.toThrow(ConfigError);
    await expect(opened).rejects.toThrow(`PASSKEY_RECEIPT_KEY_FILE: "${file}" ${message}`);
  });

  it.each(MISTAKES)(
    'changes nothing if it holds %s later, and the refusal is reported',
    async (_, content, message) => {
      const keys = await open(ES256);
      const before = [keys.signer, listKids(keys)];
      await change(keys, content());
      expect([keys.signer, listKids(keys)]).toEqual(before);
      expect(keys.describeState()!.refused).toContain(message);
      const detail = expect.stringContaining(message);
      expect(audit.entries).toMatchObject([{ type: 'receipt-keys.reload', outcome: 'failure', detail }]);
    },
  );

  it('may hold what development generated where that is allowed', async () => {
    await expect(open(`${MARK}\n${ES256}`, { allowDevelopment: true })).resolves.toBeDefined();
    await expect(open(`${MARK}\n${ES256}`, { production: false })).resolves.toBeDefined();
  });

  it('is not reloaded when only a remark differs', async () => {
    const keys = await open(ES256);
    const { signer, published } = keys;
    await change(keys, `# a remark\n${ES256}`);
    expect([keys.signer!.kid, keys.published.etag]).toEqual([signer!.kid, published.etag]);
  });
});
