import everything from './jest.config.js';

const room = process.env['MUTATION_ROOM'] || 'webauthn';
const specs = process.env['MUTATION_SPECS'] || everything.testRegex;

/**
 * What a mutant is tried against: the specs of the room that is mutated, which need no database. The property over
 * mutated ceremonies stays out: it asks that every answer has a reason, not which one. Another room than webauthn:
 * `MUTATION_ROOM=access npm run mutation -- --mutate 'src/access/*.ts,!src/access/*.spec.ts'`. A room whose specs open
 * sockets takes hours so; file by file, against the specs that tell of it, it takes minutes:
 * `MUTATION_ROOM=identity MUTATION_SPECS=/svid.spec npm run mutation -- --mutate src/x509/svid.ts`
 * @type {import('jest').Config}
 */
export default {
  ...everything,
  roots: [`<rootDir>/src/${room}`],
  testRegex: specs,
  testPathIgnorePatterns: ['mutated-ceremonies'],
  testRunner: 'jest-circus/runner',
  globalSetup: undefined,
  globalTeardown: undefined,
  testTimeout: 20_000, // what a mutant keeps waiting, waits for ever
};
