/**
 * The `testRunner` of jest.config.js: Jest's own, jest-circus, on modules that Node.js loads. Jest would load the service and its
 * packages again for each suite, into a realm of its own that has nothing compiled yet. Here a worker loads a module once, for all
 * of its suites. `@jest/globals` alone is new for each.
 *
 * So a suite shares the state of modules with those that ran before it, and stops what it starts. To run one in a realm of its
 * own: `npm test -- --testRunner jest-circus/runner FILE`. A watch and a report of coverage always do.
 */
import { createRequire, registerHooks } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { ModernFakeTimers } from '@jest/fake-timers';
import { createScriptTransformer } from '@jest/transform';
import circus from 'jest-circus/runner';
import './typescript-resolution.mjs';

const require = createRequire(import.meta.url);
const NAMES = ['afterAll', 'afterEach', 'beforeAll', 'beforeEach', 'describe', 'expect', 'it', 'jest', 'test'];
/** Here jest-circus keeps the handlers of the suite before. */
const HANDLERS = Symbol.for('EVENT_HANDLERS');
const ESM = {
  supportsDynamicImport: true,
  supportsExportNamespaceFrom: true,
  supportsStaticESM: true,
  supportsTopLevelAwait: true,
};

const sourceMaps = new Map();
let suites = 0;
let transformer;

registerHooks({
  resolve(specifier, context, nextResolve) {
    if (specifier !== '@jest/globals') return nextResolve(specifier, context);
    return { url: `jest-globals:${String(suites)}`, shortCircuit: true };
  },
  load(url, context, nextLoad) {
    if (url.startsWith('jest-globals:')) {
      const source = `export const { ${NAMES.join()} } = globalThis.jestGlobals;`;
      return { format: 'module', source, shortCircuit: true };
    }
    if (!transformer || !url.startsWith('file:') || !url.endsWith('.ts')) return nextLoad(url, context);
    const { code, sourceMapPath } = transformer.transform(fileURLToPath(url), ESM);
    sourceMaps.set(url, sourceMapPath);
    return { format: 'module', source: code, shortCircuit: true };
  },
});

export default async function run(...args) {
  const [globalConfig, config, environment, runtime, testPath, sendMessageToJest] = args;
  if (globalConfig.watch || globalConfig.watchAll || globalConfig.collectCoverage) return circus.default(...args);
  transformer ??= await createScriptTransformer(config, new Map());
  suites += 1;
  const jest = new ModernFakeTimers({ config, global: globalThis });
  const [env, { console }] = [{ ...process.env }, globalThis];
  const realm = {
    requireInternalModule: (path) => {
      delete require.cache[path];
      return require(path);
    },
    requireModule: require,
    setGlobalsForRuntime: (globals) => (globalThis.jestGlobals = { ...globals, jest }),
    unstable_shouldLoadAsEsm: () => true,
    unstable_importModule: async (path) => {
      await import(pathToFileURL(path).href);
      for (const [url, map] of sourceMaps) runtime.getSourceMaps().set(url, map);
    },
    enterTestCode: () => undefined,
    leaveTestCode: () => undefined,
  };
  delete globalThis[HANDLERS];
  globalThis.console = environment.global.console;
  return circus.default(globalConfig, config, environment, realm, testPath, sendMessageToJest).finally(() => {
    jest.dispose();
    globalThis.console = console;
    for (const name of Object.keys(process.env)) if (!(name in env)) delete process.env[name];
    Object.assign(process.env, env);
  });
}
