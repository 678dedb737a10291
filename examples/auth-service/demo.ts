import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { type LaunchedProgram, launchAuthService, launchPasskeyManager, launchShop } from './launch.ts';
import { requireFreePorts } from './ports.ts';
import { connectAs, dataDir, origin, port, rpId, shop } from './settings.ts';

const USAGE = 'usage: npm run demo';
const HELP = `${USAGE}

Runs the example auth-service and a shop with Passkey Manager on this machine, and prints the pages to open. All end with it.

Options:
  --help, -h  Prints this text.

Environment:
  AUTH_SERVICE_PORT  The port of the page; 3000 without it.
  SHOP_PORT          The port of the shop; 3001 without it.
  AUTH_SERVICE_…     Other settings of the example; examples/auth-service/README.md lists them.
  PASSKEY_…          The settings of Passkey Manager, such as PASSKEY_DATA_DIR and PASSKEY_HTTPS_PORT; README.md lists them.

Exit codes:
  0  It was stopped.
  1  A service could not start, or has ended.
  2  The arguments are wrong.

Example:
  npm run demo`;

const [unknown] = process.argv.slice(2);
if (unknown === '--help' || unknown === '-h') {
  console.log(HELP);
  process.exit(0);
}
if (unknown !== undefined) {
  console.error(`${unknown.startsWith('-') ? 'Unknown option' : 'Unknown argument'} '${unknown}'.\n${USAGE}`);
  process.exit(2);
}

const started: LaunchedProgram[] = [];
let ending = false;

async function runDemo(): Promise<void> {
  await requireFreePorts({
    PASSKEY_HTTPS_PORT: Number(process.env['PASSKEY_HTTPS_PORT'] ?? 8443),
    PASSKEY_MANAGEMENT_PORT: Number(process.env['PASSKEY_MANAGEMENT_PORT'] ?? 8081),
    AUTH_SERVICE_PORT: port,
    SHOP_PORT: shop.port,
  });
  console.log(
    'Starting Passkey Manager. The first start creates a database and certificates, which takes a few seconds.',
  );
  const logFile = join(dataDir, 'demo.log');
  const passkeyManager = await launchPasskeyManager(process.env, logFile);
  if (!(await watch(passkeyManager))) return;
  await allowOrigin(passkeyManager.url);
  const env = { ...process.env, PASSKEY_URL: passkeyManager.url, SHOP_KEY: randomBytes(32).toString('base64url') };
  if (!(await watch(await launchAuthService(env)))) return;
  if (!(await watch(await launchShop(env)))) return;
  console.log(`
  Open  ${origin}

    1. Create an account: any name and e-mail will do, and any password of at least 8 characters.
    2. Create a passkey. Your browser asks for your face, your finger or a PIN.
    3. Sign out, click into the e-mail field and choose the passkey.
    4. Rename, suspend or revoke it, and see in "Audit" what was recorded.

  Then  ${shop.origin}

    5. Buy coffee with the passkey, and have the shop verify the receipt.

  No such device? Chrome and Edge have a virtual one in DevTools: ⋮ > More tools > WebAuthn.

  Passkey Manager   ${passkeyManager.url} (mutual TLS)
  Health, metrics   ${passkeyManager.managementUrl}/health/ready, /metrics
  Log               ${logFile}
  Data              ${dataDir}

  Press Ctrl-C to stop all of them. The passkeys are kept.
`);
}

/**
 * Adds the page's origin to the relying party, as an operator, if AUTH_SERVICE_PORT makes it differ from the default.
 */
async function allowOrigin(url: string): Promise<void> {
  const operator = connectAs('operator', url);
  try {
    const relyingParty = await operator.getRelyingParty(rpId);
    if (relyingParty.origins.includes(origin)) return;
    await operator.putRelyingParty(rpId, { ...relyingParty, origins: [...relyingParty.origins, origin] });
  } finally {
    operator.close();
  }
}

/** @returns false if someone stopped the demo while the program was starting */
async function watch(launched: LaunchedProgram): Promise<boolean> {
  if (ending) {
    await launched.stop();
    return false;
  }
  started.push(launched);
  void launched.ended.then((code) => {
    if (ending) return;
    console.error(
      `${launched.name} has ended (exit code ${String(code)}). Its last output:\n${launched.output().slice(-2_000)}`,
    );
    void stopAll(1);
  });
  return true;
}

async function stopAll(exitCode: number): Promise<void> {
  if (ending) return;
  ending = true;
  for (const launched of started.toReversed()) await launched.stop();
  process.exitCode = exitCode;
}

function stopOnRequest(): void {
  if (!ending) console.log('\nStopping …');
  void stopAll(0);
}

for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, stopOnRequest);
// npm passes SIGINT and SIGTERM on, but not SIGHUP, and a killed npm passes on nothing.
const parent = process.ppid;
if (process.env['npm_lifecycle_event'] !== undefined) {
  setInterval(() => {
    if (process.ppid !== parent) stopOnRequest();
  }, 500).unref();
}

await runDemo().catch(async (error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  await stopAll(1);
});
