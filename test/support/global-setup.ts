// Jest leaves the imports of this file to Node, so this one comes first.
import './typescript-resolution.mjs';
import { TestServer } from './test-server.js';

declare global {
  var passkeyTestServer: TestServer | undefined;
}

export default async function globalSetup(): Promise<void> {
  const server = await TestServer.start();
  globalThis.passkeyTestServer = server;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => void server.stop().finally(() => process.exit(1)));
  }
}
