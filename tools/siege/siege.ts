/**
 * `npm run siege` attacks a running service from outside in one way after the other: connections and handshakes that never
 * finish, requests that stall, pipelines, denials, exports that nobody reads, probes. During each attack the permitted
 * callers' sign-ins must go on: none may fail, and their p99 may be at most three times the p99 without an attack. A minute
 * later the service's process must hold no more memory and descriptors than before. The program needs no network.
 *
 * `--short` attacks for a shorter time, about two minutes in all. `--attack NAME` runs one attack alone.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EXIT, type Program, readArguments } from '../../commands/command-line.js';
import { Pki } from '../../test/support/pki.js';
import { ServiceProcess } from '../../test/support/service-process.js';
import { type Attack, ATTACKS } from './attacks.js';
import { AttackerProcess } from './attacker-process.js';
import { faultsOf, isTooSlow, type Outcome, printTable } from './outcome.js';
import { settle, readResources } from './resources.js';
import { CLOSED, CONNECTED } from './sockets.js';
import { Workspace } from '../workspace.js';
import { p99, type SignIns, WelcomeCallers } from './sign-ins.js';

const PROGRAM = {
  command: 'npm run siege --',
  usage: ['[--short] [--attack NAME]…'],
  about:
    'Attacks a running service in one way after the other. The sign-ins of permitted callers must go on meanwhile.',
  options: {
    short: { text: 'Attacks for a shorter time, about two minutes in all.' },
    attack: {
      value: 'NAME',
      text: `Runs this attack alone; repeat it for more. The attacks: ${ATTACKS.map(({ name }) => name).join(', ')}.`,
      multiple: true,
    },
  },
  examples: ['', '--short'],
  exitCodes: {
    [EXIT.done]: 'The service withstands every attack.',
    [EXIT.failed]: 'An attack has an effect, or the service fails.',
    [EXIT.couldNotRun]: 'The arguments are wrong.',
  },
} as const satisfies Program;
const { values } = readArguments(PROGRAM);
const FORM = values.short ? 'short' : 'full';
/** Seconds. The service cuts off unread answers after 30 s, and the short form waits for that too. */
const TIMES = { short: { warm: 6, calm: 2, settle: 45 }, full: { warm: 20, calm: 5, settle: 60 } }[FORM];
/** Other work on the machine also slows sign-ins down, so an attack with nothing but slow sign-ins runs again. */
const TRIES = 3;
/** The log records a bounded number of refusals a minute and counts the rest. */
const MAX_RECORDS = 400;

async function main(): Promise<boolean> {
  const chosen = ATTACKS.filter(({ name }) => values.attack.length === 0 || values.attack.includes(name));
  if (chosen.length === 0) throw new Error(`the attacks are: ${ATTACKS.map(({ name }) => name).join(', ')}`);
  if (process.platform !== 'linux') throw new Error('the siege reads /proc: it needs Linux');
  const workspace = new Workspace('siege');
  const dataDir = workspace.directory;
  let service: ServiceProcess | undefined;
  try {
    service = await ServiceProcess.start(dataDir);
    const outcomes = await new Siege(service, new Pki(join(dataDir, 'pki'))).runAll(chosen);
    printTable(outcomes);
    return outcomes.every((outcome) => faultsOf(outcome).length === 0);
  } catch (error) {
    throw new Error(`the service's last words:\n${service?.lastWords ?? ''}`, { cause: error });
  } finally {
    await service?.stop();
    await workspace.end();
  }
}

interface Page {
  readonly data: readonly unknown[];
  readonly nextCursor: string | null;
}

class Siege {
  private readonly service: ServiceProcess;
  private readonly pki: Pki;
  private readonly calm: number[] = [];

  constructor(service: ServiceProcess, pki: Pki) {
    this.service = service;
    this.pki = pki;
  }

  async runAll(attacks: readonly Attack[]): Promise<Outcome[]> {
    const { url, managementUrl } = this.service;
    const { pki } = this;
    const certificates = {
      auditor: pki.certificateOf('auditor'),
      operator: pki.certificateOf('operator'),
      stranger: pki.certificateOf('stranger'),
    };
    const ports = { port: Number(new URL(url).port), managementPort: Number(new URL(managementUrl).port) };
    const attacker = new AttackerProcess({ ...ports, ca: pki.ca, certificates });
    const callers = await WelcomeCallers.enrol(url, pki.ca, pki.certificateOf('auth-service'));
    try {
      await signInFor(callers, TIMES.warm);
      const outcomes: Outcome[] = [];
      for (const attack of attacks) outcomes.push(await this.runPatiently(attack, attacker, callers));
      return outcomes;
    } finally {
      attacker.end();
      callers.close();
    }
  }

  private async runPatiently(attack: Attack, attacker: AttackerProcess, callers: WelcomeCallers): Promise<Outcome> {
    let outcome = await this.run(attack, attacker, callers);
    for (let tries = 1; tries < TRIES && isTooSlow(outcome) && faultsOf(outcome).length === 1; tries += 1) {
      outcome = await this.run(attack, attacker, callers);
    }
    return outcome;
  }

  private async run(
    { name, seconds, isCut }: Attack,
    attacker: AttackerProcess,
    callers: WelcomeCallers,
  ): Promise<Outcome> {
    this.calm.push(...(await signInFor(callers, TIMES.calm)).latencies);
    const calm = p99(this.calm);
    const [began, before] = [new Date(), readResources(this.service.pid)];
    attacker.start(name);
    const signIns = await signInFor(callers, seconds[FORM]);
    const counts = await attacker.stop();
    const after = await settle(this.service.pid, before, TIMES.settle);
    const others = [
      ...(counts[CONNECTED] ? [] : ['the attack does not reach the service']),
      ...(isCut && FORM === 'full' && !counts[CLOSED] ? ['the service closes none of the connections'] : []),
      ...(await this.findLogFaults(began)),
      ...(await this.findReadinessFaults()),
    ];
    const outcome = { attack: name, calm, signIns, before, after, counts, others };
    console.error(`${name}: ${faultsOf(outcome).join('; ') || 'holds'}`);
    return outcome;
  }

  private async findLogFaults(began: Date): Promise<string[]> {
    let [records, cursor] = [0, ''];
    do {
      const path = `/v1/audit/events?type=access.denied&limit=200&from=${began.toISOString()}${cursor}`;
      const { status, body } = await this.service.client.call<Page>('auditor', 'GET', path);
      if (status !== 200) return [`the auditor's list answers ${String(status)}`];
      records += body.data.length;
      cursor = body.nextCursor ? `&cursor=${body.nextCursor}` : '';
    } while (cursor !== '' && records <= MAX_RECORDS);
    return records > MAX_RECORDS ? [`more than ${String(MAX_RECORDS)} refusals have a record each`] : [];
  }

  private async findReadinessFaults(): Promise<string[]> {
    const { status } = await fetch(`${this.service.managementUrl}/health/ready`);
    return status === 200 ? [] : [`readiness says ${String(status)}`];
  }
}

async function signInFor(callers: WelcomeCallers, seconds: number): Promise<SignIns> {
  const stopping = new AbortController();
  const signIns = callers.signIn(stopping.signal);
  await sleep(seconds * 1_000);
  stopping.abort();
  return signIns;
}

process.exit((await main()) ? 0 : 1);
