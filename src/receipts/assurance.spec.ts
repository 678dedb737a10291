import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { type Assured, toAcr, toAmr } from './assurance.js';

const [yes, no] = [true, false];

/** The flags UV and BE, and the trust of the attestation. */
const assure = (userVerified: boolean, backupEligible: boolean, trust: string): Assured => ({
  userVerified,
  credential: { backupEligible, attestation: { trust } },
});

describe('the assurance of a ceremony', () => {
  it.each<[string, boolean, boolean, string, string[]]>([
    ['presence', no, no, 'trusted', ['pop', 'hwk', 'user']],
    ['presence', no, yes, 'none', ['pop', 'swk', 'user']],
    ['synced', yes, yes, 'none', ['pop', 'swk', 'user', 'mfa']],
    ['synced', yes, yes, 'trusted', ['pop', 'swk', 'user', 'mfa']],
    ['device-bound', yes, no, 'none', ['pop', 'hwk', 'user', 'mfa']],
    ['device-bound', yes, no, 'self', ['pop', 'hwk', 'user', 'mfa']],
    ['device-bound', yes, no, 'untrusted', ['pop', 'hwk', 'user', 'mfa']],
    ['attested', yes, no, 'trusted', ['pop', 'hwk', 'user', 'mfa']],
  ])('is %s if UV is %p, BE is %p and the attestation is %s', (name, uv, be, trust, amr) => {
    const assured = assure(uv, be, trust);
    expect([toAcr(assured), toAmr(assured)]).toEqual([`urn:passkey-manager:acr:${name}`, amr]);
  });

  it('is described in docs/receipts.md, each with a row of its own', () => {
    const document = readFileSync(new URL('../../docs/receipts.md', import.meta.url), 'utf8');
    const documented = [...document.matchAll(/^\| `(urn:passkey-manager:acr:[a-z-]+)` /gm)].map(([, acr]) => acr);
    const possible = [yes, no].flatMap((uv) =>
      [yes, no].flatMap((be) => ['none', 'trusted'].map((trust) => toAcr(assure(uv, be, trust)))),
    );
    expect([...documented].sort()).toEqual([...new Set(possible)].sort());
  });
});
