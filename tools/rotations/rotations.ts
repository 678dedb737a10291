/**
 * `npm run rotations` replaces the server's certificate, the revocation list and the access policy of a running service a
 * hundred times under load. No permitted caller may lose a request, and no caller repeats one. The service must refuse a revoked
 * or denied caller on its open connection within 5 seconds, for good. The program needs no network.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EXIT, type Program, ProgressLine, readArguments } from '../../commands/command-line.js';
import { DevelopmentCa } from '../../dev/development-ca.js';
import { prepareDevelopment } from '../../dev/prepare-development.js';
import { LiveConnection } from '../../test/support/live-connection.js';
import { Pki } from '../../test/support/pki.js';
import { callAllTheTime, enrol, Tally, Victim } from './callers.js';
import { Mount } from './mount.js';
import { firstPolicy, kindOf, Rotations, spiffeId } from './rotation.js';
import { startService, type Service } from '../built-service.js';
import { Workspace } from '../workspace.js';

const PROGRAM = {
  command: 'npm run rotations --',
  usage: ['[--rotations N] [--connections N]'],
  about:
    'Replaces certificate, revocation list and access policy of a running service under load. No permitted caller may lose a request.',
  options: {
    rotations: { value: 'N', text: 'The number of rotations; 100 without it.' },
    connections: { value: 'N', text: 'The number of permitted callers; 16 without it.' },
  },
  examples: ['--rotations 9'],
  exitCodes: {
    [EXIT.done]: 'No request is lost, and every caller that was shut out stays out.',
    [EXIT.failed]: 'A request is lost, or a caller is served too long.',
    [EXIT.couldNotRun]: 'The arguments are wrong.',
  },
} as const satisfies Program;
const { values } = readArguments(PROGRAM);
const ROTATIONS = Number(values.rotations ?? 100);
const CONNECTIONS = Number(values.connections ?? 16);
/** The time within which the service must refuse a revoked caller. */
const DEADLINE_MS = 5_000;

/** Every second revocation list and policy shuts a caller out. */
const hasVictim = (number: number): boolean => kindOf(number) !== 'certificate' && Math.floor(number / 3) % 2 === 0;
const victimOf = (number: number): string => spiffeId(`victim-${String(number)}`);

const workspace = new Workspace('rotations');
const dataDir = workspace.directory;
const pki = new Pki(join(dataDir, 'pki'));
const tally = new Tally();
const victims: Victim[] = [];
const taken = new Map<string, number>();
const load = new AbortController();
const progress = new ProgressLine();

/** The longest pause between two rotations: they fall anywhere between two looks of the service at its files. */
const PAUSE_MS = 600;

async function main(): Promise<boolean> {
  await prepareDevelopment(dataDir);
  const read = (name: string): string => readFileSync(join(pki.directory, name), 'utf8');
  const identities = [spiffeId('auth-service')];
  for (let number = 0; number < ROTATIONS; number += 1) if (hasVictim(number)) identities.push(victimOf(number));
  const mount = new Mount(join(dataDir, 'mount'), {
    ...Object.fromEntries(['server.crt', 'server.key', 'ca.crt', 'ca.crl'].map((name) => [name, read(name)])),
    'access-policy.yaml': firstPolicy(identities),
  });
  const authority = await DevelopmentCa.load(read('ca.crt'), read('ca.key'));
  const service = await startService({
    PASSKEY_DATA_DIR: dataDir,
    PASSKEY_TLS_CERT_FILE: mount.path('server.crt'),
    PASSKEY_TLS_KEY_FILE: mount.path('server.key'),
    PASSKEY_TLS_CA_FILE: mount.path('ca.crt'),
    PASSKEY_TLS_CRL_FILE: mount.path('ca.crl'),
    PASSKEY_ACCESS_POLICY_FILE: mount.path('access-policy.yaml'),
  });
  try {
    return await rotateUnderLoad(service, new Rotations(mount, authority, identities));
  } finally {
    await service.stop();
    await workspace.end();
  }
}

async function rotateUnderLoad(service: Service, rotations: Rotations): Promise<boolean> {
  const welcome = Array.from({ length: CONNECTIONS }, () => {
    return new LiveConnection(service.url, pki.ca, pki.certificateOf('auth-service'));
  });
  const callers = await Promise.all(welcome.map((connection, n) => enrol(connection, `user-${String(n)}`)));
  const calls = callers.map((caller) => callAllTheTime(caller, tally, load.signal));
  const trials: Promise<void>[] = [];
  const began = performance.now();
  for (let number = 0; number < ROTATIONS; number += 1) {
    await rotate(service, rotations, number, trials);
    progress.show(`${String(number + 1)} rotations of ${String(ROTATIONS)}, ${String(tally.served)} requests served`);
    await sleep(PAUSE_MS * Math.random());
  }
  const seconds = (performance.now() - began) / 1_000;
  await sleep(DEADLINE_MS);
  load.abort();
  await Promise.all([...calls, ...trials]);
  for (const connection of welcome) connection.close();
  progress.clear();
  return report(
    seconds,
    welcome.reduce((sum, { connections }) => sum + connections, 0),
  );
}

/** Changes the files, and waits until the service has taken them. */
async function rotate(service: Service, rotations: Rotations, number: number, trials: Promise<void>[]): Promise<void> {
  let identity: { spiffeId: string; cert: string } | undefined;
  let victim: Victim | undefined;
  if (hasVictim(number)) {
    const certificate = await pki.issue({ uris: [victimOf(number)] });
    identity = { spiffeId: victimOf(number), cert: certificate.cert };
    victim = new Victim(new LiveConnection(service.url, pki.ca, certificate));
    await victim.connect();
    victims.push(victim);
    trials.push(victim.tryAllTheTime(load.signal));
  }
  const before = await service.readCurrent();
  const rotation = await rotations.next(number, identity);
  victim?.shutOut();
  rotation.write();
  const deadline = performance.now() + DEADLINE_MS;
  const changed = async (): Promise<boolean> => {
    const now = await service.readCurrent();
    return rotation.kind === 'policy' ? now.policy !== before.policy : now.epoch !== before.epoch;
  };
  while (!(await changed())) {
    if (performance.now() > deadline) return;
    await sleep(50);
  }
  taken.set(rotation.how, (taken.get(rotation.how) ?? 0) + 1);
}

function report(seconds: number, connections: number): boolean {
  const lasted = victims.map(({ lasted = Infinity }) => lasted).sort((a, b) => a - b);
  const rotations = [...taken.values()].reduce((sum, count) => sum + count, 0);
  const lost = [...tally.failed.values()].reduce((sum, count) => sum + count, 0);
  const afterwards = victims.reduce((sum, { servedAfterwards }) => sum + servedAfterwards, 0);
  const ms = (value = 0): string => `${value.toFixed(0)} ms`;
  console.log(`Rotations taken      ${String(rotations)} of ${String(ROTATIONS)} in ${seconds.toFixed(0)} s`);
  for (const [how, count] of [...taken].sort()) console.log(`  ${how.padEnd(34)} ${String(count)}`);
  console.log(
    `Requests served      ${String(tally.served)}, for ${String(CONNECTIONS)} callers on ${String(connections)} connections`,
  );
  console.log(`Requests lost        ${String(lost)}`);
  for (const [kind, count] of tally.failed) console.log(`  ${kind}: ${String(count)}`);
  console.log(`Shut out             ${String(victims.length)} on live connections`);
  console.log(`  until refused      p50 ${ms(lasted[Math.floor(lasted.length / 2)])}, max ${ms(lasted.at(-1))}`);
  console.log(`  served afterwards  ${String(afterwards)}`);
  return rotations === ROTATIONS && lost === 0 && afterwards === 0 && (lasted.at(-1) ?? 0) <= DEADLINE_MS;
}

process.exit((await main()) ? 0 : 1);
