import everything from './jest.config.js';

const room = process.env['MUTATION_ROOM'] || 'webauthn';

/**
 * What a mutant is tried against: the specs of the room that is mutated, which need no database. The property over
 * mutated ceremonies stays out: it asks that every answer has a reason, not which one. Another room than webauthn:
 * `MUTATION_ROOM=access npm run mutation -- --mutate 'src/access/*.ts,!src/access/*.spec.ts'`
 * @type {import('jest').Config}
 */
export default {
  ...everything,
  roots: [`<rootDir>/src/${room}`],
  testPathIgnorePatterns: ['mutated-ceremonies'],
  globalSetup: undefined,
  globalTeardown: undefined,
};
