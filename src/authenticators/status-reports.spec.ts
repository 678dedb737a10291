import { describe, expect, it } from '@jest/globals';
import { sortReports, decideStanding, findCertification, type StatusReport } from './status-reports.js';

const NOW = new Date('2026-07-01T12:00:00Z');

/** `STATUS` or `STATUS 2026-01-31`. */
function parseReport(text: string): StatusReport {
  const [status = '', day] = text.split(' ');
  return { status, effectiveDate: day === undefined ? null : new Date(`${day}T00:00:00Z`) };
}

const findStanding = (...reports: string[]): string => {
  const found = decideStanding(sortReports(reports.map(parseReport)), NOW);
  return found.verdict === 'good' ? 'good' : found.status;
};

describe('FIDO Metadata Service v3.1 §3.1.4, the standing of a model', () => {
  const GOOD: [string, string[]][] = [
    ['no report', []],
    ['a certification', ['FIDO_CERTIFIED_L1 2025-01-01']],
    ['no certification', ['NOT_FIDO_CERTIFIED 2025-01-01']],
    ['a self assertion', ['SELF_ASSERTION_SUBMITTED 2025-01-01']],
    ['the end of its sale', ['FIDO_CERTIFIED 2020-01-01', 'RETIRED 2025-01-01']],
    ['a status that is not known here', ['SOMETHING_NEW 2025-01-01']],
    ['a bypass that an update addresses', ['USER_VERIFICATION_BYPASS 2025-01-01', 'UPDATE_AVAILABLE 2025-02-01']],
    ['the same on one day, in this order', ['USER_VERIFICATION_BYPASS 2025-01-01', 'UPDATE_AVAILABLE 2025-01-01']],
    ['the same, written in another order', ['UPDATE_AVAILABLE 2025-02-01', 'USER_VERIFICATION_BYPASS 2025-01-01']],
    [
      'a compromise before a new certification',
      ['ATTESTATION_KEY_COMPROMISE 2025-01-01', 'FIDO_CERTIFIED_L2 2025-06-01'],
    ],
    ['a revocation before a new certification', ['REVOKED 2025-01-01', 'FIDO_CERTIFIED 2025-06-01']],
    ['a revocation in the future', ['FIDO_CERTIFIED 2020-01-01', 'REVOKED 2026-07-02']],
  ];

  it.each(GOOD)('is good with %s', (_, reports) => {
    expect(findStanding(...reports)).toBe('good');
  });

  it.each([
    'REVOKED',
    'USER_VERIFICATION_BYPASS',
    'ATTESTATION_KEY_COMPROMISE',
    'USER_KEY_REMOTE_COMPROMISE',
    'USER_KEY_PHYSICAL_COMPROMISE',
  ])('is compromised by %s, dated today, long ago or not at all', (status) => {
    expect(findStanding('FIDO_CERTIFIED_L1 2020-01-01', `${status} 2026-07-01`)).toBe(status);
    expect(findStanding(`${status} 2021-01-01`)).toBe(status);
    expect(findStanding(status)).toBe(status);
  });

  const COMPROMISED: [string, string[], string][] = [
    [
      'an update of the future',
      ['USER_VERIFICATION_BYPASS 2025-01-01', 'UPDATE_AVAILABLE 2026-08-01'],
      'USER_VERIFICATION_BYPASS',
    ],
    [
      'an update from before',
      ['UPDATE_AVAILABLE 2024-01-01', 'USER_VERIFICATION_BYPASS 2025-01-01'],
      'USER_VERIFICATION_BYPASS',
    ],
    [
      'an update of the same day, written before',
      ['UPDATE_AVAILABLE 2025-01-01', 'USER_KEY_REMOTE_COMPROMISE 2025-01-01'],
      'USER_KEY_REMOTE_COMPROMISE',
    ],
    [
      'an update without a date',
      ['USER_VERIFICATION_BYPASS 2025-01-01', 'UPDATE_AVAILABLE'],
      'USER_VERIFICATION_BYPASS',
    ],
    ['a certification without a date', ['REVOKED 2025-01-01', 'FIDO_CERTIFIED'], 'REVOKED'],
    [
      'anything, when it has no date itself',
      ['USER_VERIFICATION_BYPASS', 'UPDATE_AVAILABLE 2025-01-01', 'FIDO_CERTIFIED 2026-01-01'],
      'USER_VERIFICATION_BYPASS',
    ],
    [
      'a self assertion',
      ['USER_VERIFICATION_BYPASS 2025-01-01', 'SELF_ASSERTION_SUBMITTED 2025-02-01'],
      'USER_VERIFICATION_BYPASS',
    ],
    [
      'the lack of a certification',
      ['USER_VERIFICATION_BYPASS 2025-01-01', 'NOT_FIDO_CERTIFIED 2025-02-01'],
      'USER_VERIFICATION_BYPASS',
    ],
    ['a status that is not known here', ['REVOKED 2025-01-01', 'SOMETHING_NEW 2025-02-01'], 'REVOKED'],
    ['an update, when it is a revocation', ['REVOKED 2025-01-01', 'UPDATE_AVAILABLE 2025-02-01'], 'REVOKED'],
    [
      'an update, when it is a revocation beside a bypass',
      ['REVOKED 2025-01-01', 'USER_VERIFICATION_BYPASS 2025-02-01', 'UPDATE_AVAILABLE 2025-03-01'],
      'REVOKED',
    ],
  ];

  it.each(COMPROMISED)('is not lifted by %s', (_, reports, status) => {
    expect(findStanding(...reports)).toBe(status);
  });

  it('is that of the latest compromise', () => {
    const reports = ['USER_KEY_REMOTE_COMPROMISE 2025-03-01', 'USER_VERIFICATION_BYPASS 2025-02-01'];
    expect(findStanding(...reports)).toBe('USER_KEY_REMOTE_COMPROMISE');
  });
});

describe('FIDO Metadata Service v3.1 §3.1.4, the certification of a model', () => {
  it.each<[string | undefined, string[]]>([
    [undefined, []],
    ['FIDO_CERTIFIED', ['FIDO_CERTIFIED 2020-01-01']],
    ['FIDO_CERTIFIED_L2', ['FIDO_CERTIFIED_L1 2020-01-01', 'FIDO_CERTIFIED_L2 2021-01-01']],
    ['FIDO_CERTIFIED_L1', ['FIDO_CERTIFIED_L1 2020-01-01', 'FIDO_CERTIFIED_L2 2026-07-02']],
    ['FIDO_CERTIFIED_L3plus', ['FIDO_CERTIFIED_L3plus 2020-01-01', 'UPDATE_AVAILABLE 2021-01-01']],
    [undefined, ['FIDO_CERTIFIED_L1 2020-01-01', 'NOT_FIDO_CERTIFIED 2021-01-01']],
    [undefined, ['FIDO_CERTIFIED_L1 2020-01-01', 'USER_VERIFICATION_BYPASS 2021-01-01']],
    ['FIDO_CERTIFIED_L1', ['REVOKED 2020-01-01', 'FIDO_CERTIFIED_L1 2021-01-01']],
    [undefined, ['SELF_ASSERTION_SUBMITTED 2020-01-01']],
    [undefined, ['FIDO_CERTIFIED_<script> 2020-01-01']],
  ])('is %s after %j', (certification, reports) => {
    expect(findCertification(sortReports(reports.map(parseReport)), NOW)).toBe(certification);
  });
});
