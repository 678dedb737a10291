import everything from './jest.config.js';

/**
 * What a mutant of src/webauthn is tried against: the specs beside it, which need no database. The property over mutated
 * ceremonies stays out: it asks that every answer has a reason, not which one.
 * @type {import('jest').Config}
 */
export default {
  ...everything,
  roots: ['<rootDir>/src/webauthn'],
  testPathIgnorePatterns: ['mutated-ceremonies'],
  globalSetup: undefined,
  globalTeardown: undefined,
};
