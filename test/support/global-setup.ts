// Node, not Jest, resolves the imports of this file, so the hook for TypeScript comes first.
import './typescript-resolution.mjs';
import { TestServer } from './test-server.js';

declare global {
  var passkeyTestServer: TestServer | undefined;
}

export default async function globalSetup(): Promise<void> {
  const starting = TestServer.start();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => void starting.then((server) => server.stop()).finally(() => process.exit(1)));
  }
  globalThis.passkeyTestServer = await starting;
}
