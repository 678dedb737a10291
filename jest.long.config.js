import everything from './jest.config.js';

/**
 * What `npm run test:long` runs: the suites that start programs again and again, or that take more than ten seconds of processor time or of waiting.
 * @type {import('jest').Config}
 */
export default {
  ...everything,
  testRegex: '\\.long\\.(spec|e2e-spec)\\.ts$',
  testPathIgnorePatterns: ['/node_modules/'],
};
