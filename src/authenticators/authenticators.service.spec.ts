import { describe, expect, it } from '@jest/globals';
import { AuthenticatorsService } from './authenticators.service.js';
import type { AuthenticatorModel } from './metadata.js';

const NOW = new Date('2026-07-01T12:00:00Z');
const GOOGLE = 'ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4';
const MODEL = '2fc0579f-8113-47ea-b116-bb5a8db9202a';
const ZEROS = '00000000-0000-0000-0000-000000000000';
const ICON = 'data:image/png;base64,iVBORw0KGgo=';

const EMPTY: AuthenticatorModel = {
  description: undefined,
  icon: undefined,
  roots: [],
  reports: [],
};

const createServiceKnowing = (aaguid: string, model: Partial<AuthenticatorModel> = {}): AuthenticatorsService =>
  new AuthenticatorsService({ findModel: (asked) => (asked === aaguid ? { ...EMPTY, ...model } : undefined) });

describe('the description of a model', () => {
  it('comes from metadata', () => {
    const models = createServiceKnowing(MODEL, {
      description: 'Model One',
      icon: ICON,
      roots: ['PEM'],
      reports: [
        { status: 'FIDO_CERTIFIED_L2', effectiveDate: new Date('2025-01-01') },
        { status: 'USER_KEY_PHYSICAL_COMPROMISE', effectiveDate: new Date('2026-01-01') },
      ],
    });
    expect(models.findLabel(MODEL)).toEqual({ name: 'Model One', icon: ICON });
    expect([models.isKnown(MODEL), models.listRoots(MODEL)]).toEqual([true, ['PEM']]);
    expect(models.findStanding(MODEL, NOW)).toEqual({ verdict: 'compromised', status: 'USER_KEY_PHYSICAL_COMPROMISE' });
    expect(models.findStanding(MODEL, new Date('2025-06-01'))).toEqual({ verdict: 'good' });
  });

  it('has its name from the own list when metadata lacks it or its name', () => {
    expect(createServiceKnowing(MODEL).findLabel(GOOGLE)).toEqual({ name: 'Google Password Manager' });
    expect(createServiceKnowing(GOOGLE, { icon: ICON }).findLabel(GOOGLE)).toEqual({
      name: 'Google Password Manager',
      icon: ICON,
    });
    expect(createServiceKnowing(GOOGLE, { description: 'Better' }).findLabel(GOOGLE)).toEqual({ name: 'Better' });
    expect(createServiceKnowing(MODEL).isKnown(GOOGLE)).toBe(true);
  });

  it('can be only that it exists', () => {
    expect([createServiceKnowing(MODEL).findLabel(MODEL), createServiceKnowing(MODEL).isKnown(MODEL)]).toEqual([
      null,
      true,
    ]);
  });

  it.each([ZEROS, '33333333-2222-4333-8444-555555555555', 'constructor'])('is empty for %s', (aaguid) => {
    const models = createServiceKnowing(MODEL);
    expect([models.findLabel(aaguid), models.isKnown(aaguid), models.listRoots(aaguid)]).toEqual([null, false, []]);
    expect(models.findStanding(aaguid, NOW)).toEqual({ verdict: 'good' });
  });
});
