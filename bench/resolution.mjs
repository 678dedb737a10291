/**
 * Lets plain Node run the TypeScript of the benchmark. Modules of the service come from the build, because Node does not
 * strip decorators. For: node --import this-file x.ts
 */
import { registerHooks } from 'node:module';
import '../test/support/typescript-resolution.mjs';

const SOURCE = new URL('../src/', import.meta.url).href;
const BUILD = new URL('../dist/src/', import.meta.url).href;

registerHooks({
  resolve(specifier, context, nextResolve) {
    const resolved = nextResolve(specifier, context);
    if (!resolved.url.startsWith(SOURCE)) return resolved;
    return nextResolve(BUILD + resolved.url.slice(SOURCE.length).replace(/\.ts$/, '.js'), context);
  },
});
