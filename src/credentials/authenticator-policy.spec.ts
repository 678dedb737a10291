import { describe, expect, it } from '@jest/globals';
import { AuthenticatorsService } from '../authenticators/authenticators.service.js';
import type { RelyingPartyPolicy } from '../relying-parties/relying-party-policy.js';
import { demandAllowedModel, demandBackup } from './authenticator-policy.js';

const NOW = new Date('2026-07-01T12:00:00Z');
const GOOGLE = 'ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4';
const LISTED = '2fc0579f-8113-47ea-b116-bb5a8db9202a';
const STRANGER = '33333333-2222-4333-8444-555555555555';
const ZEROS = '00000000-0000-0000-0000-000000000000';

/** Metadata of one model that is revoked from a certain day on. */
const models = new AuthenticatorsService({
  findModel: (aaguid) =>
    aaguid === LISTED
      ? {
          description: 'Model One',
          icon: undefined,
          roots: [],
          reports: [{ status: 'REVOKED', effectiveDate: new Date('2026-08-01T00:00:00Z') }],
        }
      : undefined,
});

const demandModel = (policy: Partial<RelyingPartyPolicy['authenticators']>, aaguid: string, now = NOW) => {
  return (): void => {
    demandAllowedModel({ unknown: 'allow', ...policy }, aaguid, models, now);
  };
};

describe('the models that a relying party accepts', () => {
  it.each<[string, Partial<RelyingPartyPolicy['authenticators']>, string, boolean]>([
    ['no list allows every model', {}, STRANGER, true],
    ['no list allows authenticators without a model too', {}, ZEROS, true],
    ['an allow list: who is on it', { allow: [STRANGER] }, STRANGER, true],
    ['an allow list allows no other model', { allow: [STRANGER] }, GOOGLE, false],
    ['an empty allow list allows no model', { allow: [] }, GOOGLE, false],
    ['a deny list denies the models on it', { deny: [GOOGLE] }, GOOGLE, false],
    ['a deny list: everyone else', { deny: [GOOGLE] }, STRANGER, true],
    ['an empty deny list: everyone', { deny: [] }, GOOGLE, true],
    ['the deny list goes before the allow list', { allow: [GOOGLE], deny: [GOOGLE] }, GOOGLE, false],
    ['unknown ones denied: who has a name', { unknown: 'deny' }, GOOGLE, true],
    ['unknown ones denied: who is in the metadata', { unknown: 'deny' }, LISTED, true],
    ['unknown ones denied: not the others', { unknown: 'deny' }, STRANGER, false],
    ['denied unknown models include authenticators without a model', { unknown: 'deny' }, ZEROS, false],
    ['unknown ones denied: who is on the allow list', { unknown: 'deny', allow: [STRANGER] }, STRANGER, true],
    ['denied unknown models do not lift the deny list', { unknown: 'deny', deny: [GOOGLE] }, GOOGLE, false],
  ])('%s', (_, policy, aaguid, allowed) => {
    if (allowed) expect(demandModel(policy, aaguid)).not.toThrow();
    else expect(demandModel(policy, aaguid)).toThrow('authenticator-denied');
  });

  it('are checked for their status on the day, allowed by name or not', () => {
    const later = new Date('2026-08-02T00:00:00Z');
    expect(demandModel({}, LISTED)).not.toThrow();
    expect(demandModel({}, LISTED, later)).toThrow('authenticator-compromised');
    expect(demandModel({ allow: [LISTED] }, LISTED, later)).toThrow('authenticator-compromised');
    expect(demandModel({ deny: [LISTED] }, LISTED, later)).toThrow('authenticator-denied');
    expect(demandModel({}, STRANGER, later)).not.toThrow();
  });
});

describe('the backup state that a relying party demands', () => {
  it.each<[RelyingPartyPolicy['backup'], boolean, boolean]>([
    ['any', true, true],
    ['any', false, true],
    ['device-bound', true, false],
    ['device-bound', false, true],
    ['synced', true, true],
    ['synced', false, false],
  ])('%s, of a credential that can be backed up (%s): %s', (demanded, backupEligible, allowed) => {
    const demandGivenBackup = (): void => {
      demandBackup(demanded, backupEligible);
    };
    if (allowed) expect(demandGivenBackup).not.toThrow();
    else expect(demandGivenBackup).toThrow('backup-state-denied');
  });
});
