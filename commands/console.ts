/**
 * Serves the console: a page on this machine for auditors and operators. `--help` describes the arguments.
 *
 * console/console-server.ts is the server, and the folder console/ at the top of the repository is the page.
 */
import { spawn } from 'node:child_process';
import { hash, X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Arguments, EXIT, exitOnUsageError, type Program, readArguments, UsageError } from './command-line.js';
import { type ConsoleParts, ConsoleServer } from './console/console-server.js';
import { Operations } from './console/operations.js';
import { readPageFiles } from './console/page-files.js';
import { describeSilence } from './console/relay.js';
import type { ServiceCaller } from './service/service-caller.js';
import { describeService, openService } from './service-login.js';

const PROGRAM = {
  command: 'npm run console --',
  imageCommand: 'node dist/commands/console.js',
  usage: ['--url URL --cert FILE --cert-key FILE --ca FILE [--management URL] [--port PORT] [--open]', '[--as NAME]'],
  about:
    'Serves a page at http://127.0.0.1 that shows the audit log and the passkeys to the person who starts it, and prints its address. The address works once. The console calls the service with the certificate of that person: the access policy decides what it shows, and the audit log records who looked. It runs until Ctrl-C.',
  options: {
    ...describeService('the permissions of what the person wants to see'),
    as: {
      value: 'NAME',
      text: 'In development, the identity whose generated certificate is used: auditor (the default) or operator. It stands for the four options above.',
    },
    management: {
      value: 'URL',
      text: 'The management listener, such as http://127.0.0.1:8081. Without it the page shows no metrics.',
    },
    port: {
      value: 'PORT',
      text: 'The port of the page; 0 for any free one. Without this option each service and certificate has a port of its own, so that the browser finds what it keeps of the log; another one if that is taken.',
    },
    open: { text: 'Opens the page in the browser of the desktop.' },
  },
  environment: {
    PASSKEY_DATA_DIR: 'In development, the directory of the generated certificates; .data by default.',
    PASSKEY_HTTPS_PORT: 'In development, the port of the service; 8443 by default.',
    PASSKEY_MANAGEMENT_PORT: 'In development, the port of the management listener; 8081 by default.',
  },
  examples: [
    '',
    '--as operator',
    '--url https://passkey-manager.bank.example:8443 --cert auditor.crt --cert-key auditor.key --ca ca.crt',
  ],
  exitCodes: {
    [EXIT.done]: 'The console was stopped.',
    [EXIT.couldNotRun]: 'The arguments are wrong, a file could not be read, or the port is taken.',
  },
} as const satisfies Program;

type Values = Arguments<typeof PROGRAM.options>['values'];

/** Fills in the files of development, if no option names the service. @throws UsageError */
function completeValues(values: Values): Values {
  const { url, cert, 'cert-key': key, ca, as = 'auditor' } = values;
  const isNamed = [url, cert, key, ca].some((value) => value !== undefined);
  if (isNamed && values.as !== undefined) throw new UsageError('Give --as, or --url, --cert, --cert-key and --ca.');
  if (isNamed) return values;
  const { PASSKEY_DATA_DIR: directory = '.data', PASSKEY_HTTPS_PORT: port = '8443' } = process.env;
  const { PASSKEY_MANAGEMENT_PORT: managementPort = '8081' } = process.env;
  if (!/^[a-z-]+$/.test(as)) throw new UsageError('--as is not the name of an identity.');
  const file = (name: string): string => join(directory, 'pki', name);
  if (!existsSync(file(`${as}.crt`)))
    throw new UsageError(
      `Give --url, --cert, --cert-key and --ca: ${file(`${as}.crt`)} is missing, so this is no development directory with that identity.`,
    );
  return {
    ...values,
    url: `https://127.0.0.1:${port}`,
    cert: file(`${as}.crt`),
    'cert-key': file(`${as}.key`),
    ca: file('ca.crt'),
    management: values.management ?? `http://127.0.0.1:${managementPort}`,
  };
}

const FIRST_PORT = 20_000;
const PORTS = 10_000;

/** The browser keeps the checkpoint of a log by the address of the page, so the port must stay. */
function derivePort(url: string, cert: string): number {
  const { subjectAltName = '' } = new X509Certificate(readFileSync(cert));
  return FIRST_PORT + (hash('sha256', `${url}\n${subjectAltName}`, 'buffer').readUInt32BE() % PORTS);
}

/** Listens at the port that the service and the certificate have, or at any free one if that is taken. */
async function listen(parts: ConsoleParts, port: number | undefined, cert: string): Promise<ConsoleServer> {
  if (port !== undefined) return ConsoleServer.listen(parts, port);
  const derived = derivePort(parts.serviceUrl.href, cert);
  return ConsoleServer.listen(parts, derived).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    console.error(
      `Port ${String(derived)} is taken, perhaps by another console. The page is at another port, where the browser has kept nothing of the log.`,
    );
    return ConsoleServer.listen(parts);
  });
}

/** @throws UsageError */
function readPort(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new UsageError('--port is not a port.');
  return port;
}

/** @throws UsageError */
function readManagement(text: string | undefined): URL | undefined {
  if (text === undefined) return undefined;
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol))
    throw new UsageError('--management is not a URL.');
  return new URL(text);
}

/** Asks the service once who calls, and says so if nothing answers. What the answer says is for the page to show. */
async function warnOfSilence(service: ServiceCaller, isStopped: () => boolean): Promise<void> {
  try {
    (await service.open('GET', '/v1/caller')).resume();
  } catch (error) {
    if (isStopped()) return;
    const { title, detail } = describeSilence(error as NodeJS.ErrnoException, service.url);
    console.error(`${title}. ${detail} The console runs, and shows the service when it answers.`);
  }
}

function openBrowser(address: string): void {
  const command = { darwin: 'open', win32: 'explorer' }[process.platform as string] ?? 'xdg-open';
  const opened = spawn(command, [address], { detached: true, stdio: 'ignore' });
  opened.on('error', () => {
    console.error('This machine has no desktop to open the page on. Open the address yourself.');
  });
  opened.unref();
}

const { values: given } = readArguments(PROGRAM);
const { values, port, managementUrl } = exitOnUsageError(PROGRAM, () => {
  const values = completeValues(given);
  return { values, port: readPort(values.port), managementUrl: readManagement(values.management) };
});
try {
  const service = exitOnUsageError(PROGRAM, () => openService(values));
  const parts = { service, serviceUrl: new URL(values.url!), managementUrl, operations: Operations.read() };
  const server = await listen({ ...parts, files: readPageFiles() }, port, values.cert!);
  let isStopped = false;
  const stop = (): void => {
    isStopped = true;
    service.close();
    void server.close();
  };
  process.once('SIGINT', stop).once('SIGTERM', stop);
  console.log(`The console calls ${values.url!} as ${values.cert!}. Open, once, in a browser on this machine:`);
  console.log(server.address);
  if (values.open) openBrowser(server.address);
  await warnOfSilence(service, () => isStopped);
} catch (error) {
  console.error(`The console did not start: ${(error as Error).message}.`);
  process.exitCode = EXIT.couldNotRun;
}
