// Node, not Jest, resolves the imports of this file, so the hook for TypeScript comes first.
import './typescript-resolution.mjs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TestServer } from './test-server.js';

declare global {
  var passkeyTestServer: TestServer | undefined;
}

export default async function globalSetup(): Promise<void> {
  // Node.js compiles a program once, and not again for each process that runs it.
  process.env['NODE_COMPILE_CACHE'] ??= join(tmpdir(), 'node-compile-cache');
  const starting = TestServer.start();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => void starting.then((server) => server.stop()).finally(() => process.exit(1)));
  }
  globalThis.passkeyTestServer = await starting;
}
