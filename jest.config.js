/** @type {import('jest').Config} */
export default {
  testEnvironment: 'node',
  roots: ['<rootDir>/src', '<rootDir>/commands', '<rootDir>/dev', '<rootDir>/console', '<rootDir>/test'],
  testRegex: '\\.(spec|e2e-spec)\\.ts$',
  // npm run test:long and npm run test:interruptions run these.
  testPathIgnorePatterns: ['/node_modules/', '\\.long\\.', 'interrupted-programs'],
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  transform: {
    '\\.ts$': [
      '@swc/jest',
      {
        jsc: {
          target: 'es2024',
          parser: { syntax: 'typescript', decorators: true },
          transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: false },
          keepClassNames: true,
          experimental: { keepImportAttributes: true },
        },
        module: { type: 'es6' },
      },
    ],
  },
  testRunner: '<rootDir>/test/support/test-runner.mjs',
  globalSetup: '<rootDir>/test/support/global-setup.ts',
  globalTeardown: '<rootDir>/test/support/global-teardown.ts',
  // Only a test that hangs takes so long, even on a crowded machine.
  testTimeout: 120_000,
  // Suites wait, too: the third worker uses the time.
  maxWorkers: 3,
};
