/**
 * `npm run names -- FILE` copies the names of passkey providers from FILE to src/authenticators/aaguid-names.json. FILE is a
 * JSON object of AAGUIDs with a `name` each, such as `aaguid.json` of
 * github.com/passkeydeveloper/passkey-authenticator-aaguids. The program takes only names, fetches nothing, and skips and
 * prints an entry that it cannot read. A model that FILE does not list keeps its name: a relying party may accept only known
 * models, and a removed name would lock out its users.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { EXIT, type Program, readArguments, reportUsage } from '../commands/command-line.js';
import { mergeNames } from './merge-names.js';

const TABLE = 'src/authenticators/aaguid-names.json';
const PROGRAM: Program = {
  command: 'npm run names --',
  usage: ['FILE'],
  about: `Copies the names of passkey providers from FILE to ${TABLE}. It fetches nothing and removes no name.`,
  operands: { FILE: 'A JSON object of AAGUIDs with a name each, such as aaguid.json of passkeydeveloper.' },
  options: {},
  examples: ['aaguid.json'],
  exitCodes: {
    [EXIT.done]: 'The names are copied.',
    [EXIT.failed]: 'FILE is not such a list.',
    [EXIT.couldNotRun]: 'The arguments are wrong.',
  },
};
const [file] = readArguments(PROGRAM).operands;
if (file === undefined) {
  reportUsage(PROGRAM, 'Give one FILE.');
  process.exit(EXIT.couldNotRun);
}
const read = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'));

const { names, changes } = mergeNames(read(TABLE) as Record<string, string>, read(file));
writeFileSync(TABLE, `${JSON.stringify(names, null, 2)}\n`);
for (const change of changes) console.log(change);
console.log(`${TABLE}: ${String(Object.keys(names).length)} names`);
