import eslint from '@eslint/js';
import tseslint from 'typescript-eslint';

/**
 * Direction: controller → service → {repository, webauthn, audit}. Each room names the rooms that it must not know; a
 * wrong door does not open.
 */
const CLOSED_DOORS = {
  problems: [
    'access',
    'audit',
    'authenticators',
    'challenges',
    'config',
    'contract',
    'credentials',
    'database',
    'health',
    'identity',
    'relying-parties',
    'telemetry',
    'webauthn',
  ],
  config: [
    'access',
    'audit',
    'authenticators',
    'challenges',
    'contract',
    'credentials',
    'database',
    'health',
    'identity',
    'problems',
    'relying-parties',
    'telemetry',
    'webauthn',
  ],
  webauthn: [
    'access',
    'audit',
    'authenticators',
    'challenges',
    'config',
    'contract',
    'credentials',
    'database',
    'health',
    'identity',
    'problems',
    'relying-parties',
    'telemetry',
  ],
  contract: [
    'access',
    'audit',
    'authenticators',
    'challenges',
    'config',
    'credentials',
    'database',
    'health',
    'identity',
    'relying-parties',
    'telemetry',
    'webauthn',
  ],
  authenticators: ['access', 'challenges', 'credentials', 'health', 'relying-parties'],
  audit: ['authenticators', 'challenges', 'credentials', 'health', 'relying-parties', 'webauthn'],
  access: ['authenticators', 'challenges', 'credentials', 'health', 'relying-parties', 'webauthn'],
  identity: ['authenticators', 'challenges', 'credentials', 'health', 'relying-parties', 'webauthn'],
  telemetry: [
    'access',
    'audit',
    'authenticators',
    'challenges',
    'credentials',
    'database',
    'health',
    'relying-parties',
    'webauthn',
  ],
  'relying-parties': ['authenticators', 'challenges', 'credentials', 'health'],
  challenges: ['authenticators', 'credentials', 'health'],
  credentials: ['health'],
  health: ['access', 'challenges', 'credentials', 'relying-parties', 'webauthn'],
};

const LIBRARY = {
  name: '@simplewebauthn/server',
  message: 'Only src/webauthn verifies; others may import its types.',
  allowTypeImports: true,
};

const doors = Object.entries(CLOSED_DOORS).map(([room, closed]) => ({
  files: [`src/${room}/**/*.ts`],
  ignores: ['**/*.spec.ts'],
  rules: {
    '@typescript-eslint/no-restricted-imports': [
      'error',
      {
        paths: room === 'webauthn' ? [] : [LIBRARY],
        patterns: [
          {
            group: closed.flatMap((other) => [
              `../${other}/*`,
              `../../${other}/*`,
              `../${other}/**`,
              `../../${other}/**`,
            ]),
            message: `src/${room} does not open that door: see CONTRIBUTING.md.`,
          },
          ...(room === 'problems'
            ? []
            : [{ group: ['@nestjs/common'], importNamePattern: 'Exception$', message: 'Throw a Problem.' }]),
        ],
      },
    ],
  },
}));

export default tseslint.config(
  { ignores: ['dist', 'coverage', '.data', 'clients/typescript/contract.ts'] },
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
