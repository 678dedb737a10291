import eslint from '@eslint/js';
import tseslint from 'typescript-eslint';

const LIBRARY = {
  name: '@simplewebauthn/server',
  message: 'The files of src/webauthn export the types of the browser’s JSON.',
};

const EXCEPTIONS = { group: ['@nestjs/common'], importNamePattern: 'Exception$', message: 'Throw a Problem.' };

export default tseslint.config(
  {
    ignores: [
      '**/dist',
      'builds',
      'reports',
      '.stryker-tmp',
      'coverage',
      '.data',
      'clients/typescript/src/contract.ts',
      'tools/openapi',
    ],
  },
  eslint.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: {
      parserOptions: {
        project: ['tsconfig.json', 'tsconfig.strip.json', 'console/tsconfig.json', 'test/client/tsconfig.json'],
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      '@typescript-eslint/no-extraneous-class': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { ignoreRestSiblings: true, argsIgnorePattern: '^_' }],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      'max-lines': ['error', { max: 300, skipBlankLines: true }],
    },
  },
  {
    files: ['**/*.spec.ts', '**/*.e2e-spec.ts', '**/*.test.ts', 'test/**/*.ts'],
    rules: {
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/unbound-method': 'off',
      // A table of cases takes many lines once prettier has laid it out.
      'max-lines': ['error', { max: 400, skipBlankLines: true }],
    },
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
  {
    files: ['src/**/*.ts', 'commands/**/*.ts', 'dev/**/*.ts'],
    ignores: ['**/*.spec.ts', 'src/webauthn/**', 'src/http/**'],
    rules: { '@typescript-eslint/no-restricted-imports': ['error', { paths: [LIBRARY], patterns: [EXCEPTIONS] }] },
  },
  {
    files: ['src/http/**/*.ts'],
    ignores: ['**/*.spec.ts'],
    rules: { '@typescript-eslint/no-restricted-imports': ['error', { paths: [LIBRARY] }] },
  },
);
