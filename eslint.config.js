import eslint from '@eslint/js';
import tseslint from 'typescript-eslint';

/**
 * Direction: controller → service → {repository, webauthn, audit}. Each room names the rooms that it may open; a wrong
 * door does not open. (`database` types its hot statements by the features that they serve.)
 */
const OPEN_DOORS = {
  problems: [],
  config: [],
  webauthn: [],
  contract: ['problems'],
  telemetry: ['identity', 'problems'],
  identity: ['audit', 'config', 'problems', 'telemetry', 'webauthn'],
  access: ['audit', 'config', 'contract', 'identity', 'problems', 'telemetry'],
  audit: ['access', 'config', 'contract', 'database', 'identity', 'problems', 'telemetry'],
  database: ['audit', 'challenges', 'config', 'credentials', 'problems', 'relying-parties'],
  authenticators: ['audit', 'config', 'contract', 'telemetry', 'webauthn'],
  'relying-parties': ['access', 'audit', 'config', 'contract', 'identity', 'problems', 'webauthn'],
  challenges: [
    'access',
    'audit',
    'config',
    'contract',
    'database',
    'identity',
    'problems',
    'relying-parties',
    'webauthn',
  ],
  credentials: [
    ...['access', 'audit', 'authenticators', 'challenges', 'config', 'contract', 'database', 'identity', 'problems'],
    ...['relying-parties', 'webauthn'],
  ],
  health: ['access', 'audit', 'authenticators', 'config', 'credentials', 'database', 'identity', 'telemetry'],
  openapi: ['access'],
  inventory: ['config', 'database', 'identity', 'webauthn'],
  workers: ['access', 'audit', 'config', 'database', 'health', 'telemetry'],
};
const ROOMS = Object.keys(OPEN_DOORS);

const LIBRARY = {
  name: '@simplewebauthn/server',
  message: 'The types of the browser’s JSON are in src/webauthn/json.ts.',
};

const EXCEPTIONS = { group: ['@nestjs/common'], importNamePattern: 'Exception$', message: 'Throw a Problem.' };

const doors = ROOMS.map((room) => ({
  files: [`src/${room}/**/*.ts`],
  ignores: ['**/*.spec.ts'],
  rules: {
    '@typescript-eslint/no-restricted-imports': [
      'error',
      {
        paths: room === 'webauthn' ? [] : [LIBRARY],
        patterns: [
          {
            group: ROOMS.filter((other) => other !== room && !OPEN_DOORS[room].includes(other)).flatMap((other) => [
              `../${other}/**`,
              `../../${other}/**`,
            ]),
            message: `src/${room} does not open that door: see CONTRIBUTING.md.`,
          },
          ...(room === 'problems' ? [] : [EXCEPTIONS]),
        ],
      },
    ],
  },
}));

export default tseslint.config(
  { ignores: ['dist', 'reports', '.stryker-tmp', 'coverage', '.data', 'clients/typescript/contract.ts'] },
  eslint.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: {
      parserOptions: { project: ['tsconfig.json', 'tsconfig.strip.json'], tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      '@typescript-eslint/no-extraneous-class': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { ignoreRestSiblings: true, argsIgnorePattern: '^_' }],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      'max-lines': ['error', { max: 300 }],
    },
  },
  {
    files: ['**/*.spec.ts', '**/*.e2e-spec.ts', '**/*.test.ts', 'test/**/*.ts'],
    rules: { '@typescript-eslint/no-unsafe-assignment': 'off', '@typescript-eslint/unbound-method': 'off' },
  },
  {
    // A `pg.Client` that nobody listens to ends the process when its server goes away.
    files: ['src/**/*.ts'],
    ignores: ['**/*.spec.ts', 'src/database/database-session.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        {
          selector: "NewExpression[callee.object.name='pg']",
          message: 'Sessions are made by src/database/database-session.ts.',
        },
      ],
    },
  },
  {
    files: ['**/*.{js,mjs}'],
    languageOptions: {
      globals: {
        process: 'readonly',
        console: 'readonly',
        URL: 'readonly',
        document: 'readonly',
        window: 'readonly',
        fetch: 'readonly',
        PublicKeyCredential: 'readonly',
      },
    },
  },
  ...doors,
);
