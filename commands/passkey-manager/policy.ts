import { type PasskeyManager, PasskeyProblem, type Schemas } from '../../clients/typescript/src/client.ts';
import { type CompleteSettings, listChanges } from '../../src/relying-parties/setting-changes.js';
import { EXIT, type ExitCode } from '../command-line.js';
import { explainApproval, showChanges } from './approvals.js';
import { type Command, defineServiceCommand, demand, RP, type Session } from './command.js';
import { type PolicyFile, formatPolicyFile, readPolicyFile } from './policy-file.js';
import { formatTime, type Printer } from './printer.js';

type RelyingParty = Schemas['RelyingParty'];
type DryRun = Schemas['RelyingPartyDryRun'];
type Change = Schemas['SettingChange'];

const FILE = {
  FILE: 'The settings of a relying party, as JSON or YAML; - reads standard input. policy show prints such a file.',
};
const OPTIONS = { rp: { ...RP, text: 'The relying party, if FILE has no rpId.' } } as const;

const WRITE = 'relying-parties:read and relying-parties:write';

/** @returns undefined if the service does not know the relying party */
async function findStored(
  client: PasskeyManager,
  rpId: string,
  signal?: AbortSignal,
): Promise<RelyingParty | undefined> {
  try {
    return await client.getRelyingParty(rpId, { signal });
  } catch (error) {
    if (error instanceof PasskeyProblem && error.slug === 'relying-party-unknown') return undefined;
    throw error;
  }
}

/** A new relying party has every setting to begin with. */
const NOTHING = { name: '', origins: [], enabled: true, successor: null } as const;

function compare(stored: RelyingParty | undefined, wanted: RelyingParty | DryRun): Change[] {
  const before = stored ?? { ...NOTHING, policy: wanted.policy };
  return listChanges(before as unknown as CompleteSettings, wanted);
}

const explainVersions = (rpId: string, file: unknown, stored: number): string =>
  `The file is of version ${String(file)}, and the service has version ${String(stored)}: somebody has changed the settings since. Run policy show ${rpId} again, and make your change in what it prints. To undo what the others changed, which policy diff shows, take version out of the file.`;

interface Outlook {
  readonly rpId: string;
  readonly isNew: boolean;
  readonly changes: readonly Change[];
  readonly needsApproval: boolean;
  readonly warnings: DryRun['warnings'];
  readonly wouldRefuse: DryRun['wouldRefuse'];
  /** How many passkeys are active; undefined if the caller may not know, or nobody has counted them. */
  readonly active: number | undefined;
}

/**
 * Asks the service what the settings would do, also if they were read from an earlier version. It stores nothing.
 *
 * @throws PasskeyProblem that names the wrong settings
 */
async function foresee(session: Session, { rpId, settings: { version, ...settings } }: PolicyFile): Promise<Outlook> {
  const { client, printer, signal } = session;
  const [stored, dryRun, caller] = await Promise.all([
    findStored(client, rpId, signal),
    client.dryRunRelyingParty(rpId, settings, { signal }),
    client.getCaller({ signal }),
  ]);
  if (version !== undefined && stored && version !== stored.version)
    printer.note(explainVersions(rpId, version, stored.version));
  const canCount = stored && caller.permissions.includes('statistics:read');
  const statistics = canCount ? await client.getStatistics({ rpId }, { signal }) : undefined;
  const active = statistics?.credentials?.byStatus.active;
  const changes = compare(stored, dryRun);
  const { warnings, wouldRefuse } = dryRun;
  const isWeaker = changes.some(({ weakens }) => weakens);
  const needsApproval = isWeaker && caller.approvalNeeded.includes('relying-parties:write');
  return { rpId, isNew: stored === undefined, changes, needsApproval, warnings, wouldRefuse, active };
}

function showOutlook(printer: Printer, outlook: Outlook): ExitCode {
  const { rpId, isNew, changes, needsApproval, warnings, wouldRefuse, active } = outlook;
  const refused = wouldRefuse.reduce((sum, { credentials }) => sum + credentials, 0);
  const count = (number: number, one: string, many: string): string =>
    number === 0 ? 'none' : `${number.toLocaleString('en')} ${number === 1 ? one : many}`;
  // A passkey that two purposes refuse counts twice.
  const isOnce = new Set(wouldRefuse.flatMap(({ purpose }) => purpose ?? [])).size <= 1;
  const of =
    active === undefined || !isOnce || refused > active ? '' : ` of ${active.toLocaleString('en')} that are active`;
  printer.showRecord(outlook, {
    'relying party': isNew ? `${rpId}, which is new` : rpId,
    settings: 'the service would take them',
    changes: isNew ? 'every setting is new' : count(changes.length, 'setting', 'settings'),
    approval: needsApproval ? { text: 'a second identity must approve it', tone: 'caution' } : undefined,
    warnings: count(warnings.length, 'warning', 'warnings'),
    'would refuse': refused === 0 ? 'none' : { text: `${count(refused, 'passkey', 'passkeys')}${of}`, tone: 'bad' },
  });
  if (!printer.isJson) showDetails(printer, outlook);
  return refused === 0 ? EXIT.done : EXIT.failed;
}

function showDetails(printer: Printer, { warnings, wouldRefuse }: Outlook): void {
  showWarnings(printer, warnings);
  if (wouldRefuse.length === 0) return;
  printer.write('\nThese active passkeys could not sign in any more:');
  printer.showTable(wouldRefuse, {
    passkeys: ({ credentials }) => credentials,
    reason: ({ reason }) => reason,
    purpose: ({ purpose }) => purpose,
    model: ({ name, aaguid }) => name ?? aaguid,
  });
}

function showWarnings(printer: Printer, warnings: DryRun['warnings']): void {
  if (warnings.length > 0) printer.write('');
  for (const { pointer, detail } of warnings)
    printer.showLine(undefined, [{ text: `warning: ${pointer}`, tone: 'caution' }, detail]);
}

const list = defineServiceCommand(
  ['policy', 'list'],
  {
    usage: [''],
    about: 'Lists the relying parties.',
    needs: 'relying-parties:read',
    options: {},
    examples: [''],
  },
  async (_, { client, printer, signal }) => {
    const { data } = await client.listRelyingParties({ signal });
    printer.showList(
      data,
      {
        rp: ({ rpId }) => rpId,
        state: ({ enabled }) => (enabled ? { text: 'enabled', tone: 'good' } : { text: 'disabled', tone: 'bad' }),
        version: ({ version }) => version,
        updated: ({ updatedAt }) => formatTime(updatedAt),
        warnings: ({ warnings }) => warnings.length,
        name: ({ name }) => name,
      },
      'There is no relying party.',
    );
    return EXIT.done;
  },
);

const show = defineServiceCommand(
  ['policy', 'show'],
  {
    usage: ['RPID'],
    about:
      'Prints the settings of a relying party as YAML, or as JSON with --output json. Save them, change them, and put them back.',
    needs: 'relying-parties:read',
    operands: { RPID: RP.text },
    options: {},
    examples: ['login.example.com > login.yaml'],
  },
  async ({ operands: [rp] }, { client, printer, signal }) => {
    const party = await client.getRelyingParty(demand('the RPID of a relying party', rp), { signal });
    if (printer.isJson) printer.showJson(party);
    else printer.write(formatPolicyFile(party));
    return EXIT.done;
  },
);

const check = defineServiceCommand(
  ['policy', 'check'],
  {
    usage: ['FILE [--rp RPID]'],
    about: 'Has the service check settings without storing them, and says which passkeys they would refuse.',
    needs: WRITE,
    operands: FILE,
    options: OPTIONS,
    examples: ['login.yaml'],
    exitCodes: {
      [EXIT.done]: 'The service would take the settings, and refuse no passkey that it accepts now.',
      [EXIT.failed]: 'The settings would refuse passkeys.',
      [EXIT.refused]: 'The settings are wrong, and the output names them; or the caller may not ask.',
    },
  },
  async ({ operands: [file], values }, session) =>
    showOutlook(session.printer, await foresee(session, readPolicyFile(demand('a FILE', file), values.rp))),
);

const diff = defineServiceCommand(
  ['policy', 'diff'],
  {
    usage: ['FILE [--rp RPID]'],
    about:
      'Compares settings with those that the service has, and says which differences weaken the verification. A setting that FILE leaves out counts with its default.',
    needs: WRITE,
    operands: FILE,
    options: OPTIONS,
    examples: ['login.yaml', 'login.yaml -o json'],
    exitCodes: { [EXIT.done]: 'There is no difference.', [EXIT.failed]: 'The output shows the differences.' },
  },
  async ({ operands: [file], values }, session) => {
    const { rpId, isNew, changes } = await foresee(session, readPolicyFile(demand('a FILE', file), values.rp));
    const { printer } = session;
    if (isNew) printer.note(`The service does not know ${rpId} yet. It gets these settings, and the defaults:`);
    if (printer.isJson) printer.showJson(changes);
    else if (changes.length === 0) printer.note('There is no difference.');
    else showChanges(printer, changes);
    return changes.length === 0 ? EXIT.done : EXIT.failed;
  },
);

const put = defineServiceCommand(
  ['policy', 'put'],
  {
    usage: ['FILE [--rp RPID] [--dry-run]'],
    about:
      'Stores settings and prints what changed. It asks no question: policy check and policy diff say first what would happen. Settings that somebody else changes meanwhile are not overwritten.',
    needs: WRITE,
    operands: FILE,
    options: { ...OPTIONS, 'dry-run': { text: 'Stores nothing, and does what policy check does.' } },
    examples: ['login.yaml --dry-run', 'login.yaml'],
    exitCodes: {
      [EXIT.done]: 'The settings are stored, or were so before.',
      [EXIT.failed]: 'With --dry-run: the settings would refuse passkeys.',
      [EXIT.waitsForApproval]: 'A second identity must approve it first. Nothing is stored yet.',
    },
  },
  async ({ operands: [operand], values }, session) => {
    const file = readPolicyFile(demand('a FILE', operand), values.rp);
    return values['dry-run'] ? showOutlook(session.printer, await foresee(session, file)) : store(session, file);
  },
);

/** Settings that are stored already are no conflict, whatever version they name. */
async function isSoAlready(
  client: PasskeyManager,
  stored: RelyingParty,
  { version: _, ...settings }: PolicyFile['settings'],
  signal: AbortSignal,
): Promise<boolean> {
  return compare(stored, await client.dryRunRelyingParty(stored.rpId, settings, { signal })).length === 0;
}

async function store({ client, printer, signal }: Session, { rpId, settings }: PolicyFile): Promise<ExitCode> {
  const stored = await findStored(client, rpId, signal);
  if (stored && (await isSoAlready(client, stored, settings, signal))) {
    const { version, warnings } = stored;
    printer.showRecord(
      { rpId, version, changes: [], warnings },
      { 'relying party': rpId, version, stored: 'nothing, it is so already' },
    );
    return EXIT.done;
  }
  // What is printed as changed is changed from this version, and from no other.
  const body = stored ? { version: stored.version, ...settings } : settings;
  if (stored && body.version !== stored.version) printer.note(explainVersions(rpId, body.version, stored.version));
  const answer = await client.putRelyingParty(rpId, body);
  if (!('origins' in answer)) return explainApproval(printer, answer);
  const changes = compare(stored, answer);
  const { version, warnings } = answer;
  printer.showRecord(
    { rpId, version, changes, warnings },
    {
      'relying party': rpId,
      version,
      stored: stored ? (changes.length === 0 ? 'nothing changed' : 'changed') : 'created',
    },
  );
  if (printer.isJson) return EXIT.done;
  if (changes.length > 0) printer.write('');
  if (changes.length > 0) showChanges(printer, changes);
  showWarnings(printer, warnings);
  return EXIT.done;
}

export const POLICY: readonly Command[] = [list, show, check, diff, put];
