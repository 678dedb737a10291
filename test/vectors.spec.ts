import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { format } from 'prettier';
import { packedSelf } from './support/authenticator/attestation.js';
import { Authenticator } from './support/authenticator/authenticator.js';
import type { AlgorithmName } from './support/authenticator/keys.js';
import type { Model } from './support/authenticator/model.js';

const SAMPLE = 'tools/vectors.sample.json';
const RP_ID = 'login.example.com';
const ORIGIN = `https://${RP_ID}`;

type Case = Readonly<Record<string, unknown>>;

/** Records a registration, an authentication, and the same authentication with another challenge. */
function recordCeremonies(name: string, model: Partial<Model>): Case[] {
  const authenticator = new Authenticator(model);
  const [created, asked] = [randomBytes(32).toString('base64url'), randomBytes(32).toString('base64url')];
  const user = { id: randomBytes(32).toString('base64url'), name: 'ada@example.com', displayName: 'Ada' };
  const site = { rpId: RP_ID, origin: ORIGIN, expectedUserVerification: 'required' };
  const registration = `${name}: registration`;
  const response = authenticator.create(
    { rp: { id: RP_ID, name: 'Example' }, user, challenge: created, pubKeyCredParams: [] },
    ORIGIN,
  );
  const authentication = {
    ...site,
    kind: 'authentication',
    registration,
    credentialPublicKey_b64url: Buffer.from(authenticator.newest.key.cose).toString('base64url'),
    response: authenticator.get({ rpId: RP_ID, challenge: asked }, ORIGIN),
  };
  return [
    {
      name: registration,
      ...site,
      kind: 'registration',
      challenge_b64url: created,
      flags: { be: authenticator.model.backupEligible },
      response,
      expect: 'ok',
    },
    { name: `${name}: authentication`, ...authentication, challenge_b64url: asked, expect: 'ok' },
    {
      name: `${name}: authentication for another challenge`,
      ...authentication,
      challenge_b64url: created,
      expect: 'refused',
    },
  ];
}

const recordAll = (): Case[] => [
  ...recordCeremonies('synced passkey, ES256', {}),
  ...(['EdDSA', 'RS256'] satisfies AlgorithmName[]).flatMap((algorithm) =>
    recordCeremonies(`security key, ${algorithm}`, {
      algorithm,
      attestation: packedSelf,
      attachment: 'cross-platform',
      transports: ['usb'],
      backupEligible: false,
      backedUp: false,
      counts: true,
    }),
  ),
];

const directory = mkdtempSync(join(tmpdir(), 'passkey-manager-vectors-'));
afterAll(() => {
  rmSync(directory, { recursive: true });
});

function verify(file: string): Promise<{ code: number; stdout: string }> {
  const args = ['--import', './test/support/typescript-resolution.mjs', 'tools/vectors.ts', file];
  return new Promise((resolve) => {
    execFile(process.execPath, args, (error, stdout) => {
      resolve({ code: error ? Number(error.code) : 0, stdout });
    });
  });
}

describe('npm run vectors', () => {
  it(`verifies ${SAMPLE}, which UPDATE_VECTORS=1 records again`, async () => {
    if (process.env['UPDATE_VECTORS']) {
      writeFileSync(SAMPLE, await format(JSON.stringify(recordAll()), { parser: 'json', printWidth: 128 }));
    }
    const { code, stdout } = await verify(SAMPLE);
    expect(code).toBe(0);
    expect(stdout).toMatch(/\n9 cases: 9 as expected\n$/);
  });

  it('verifies what the authenticator answers now', async () => {
    const file = join(directory, 'now.json');
    writeFileSync(file, JSON.stringify(recordAll()));
    expect((await verify(file)).code).toBe(0);
  });

  it('fails when an outcome is not the expected one, and names the case', async () => {
    const file = join(directory, 'wrong.json');
    const [first, ...others] = recordAll();
    writeFileSync(file, JSON.stringify([{ ...first, expect: 'refused' }, ...others]));
    const { code, stdout } = await verify(file);
    expect(code).toBe(1);
    expect(stdout).toContain('MISMATCH: synced passkey, ES256: registration: expected refused, got ok');
  });
});
