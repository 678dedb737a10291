/**
 * `npm run check:rooms`: checks the imports of every source file against the plan in rooms.ts, types included. It fails on
 * an import that the plan does not allow, on a cycle of rooms, on a room of more than 30 files, on a room whose page is missing
 * or does not begin with an overview, and when the table in CONTRIBUTING.md differs from the plan. `npm run check:rooms -- --write` writes that table.
 */
import { existsSync, globSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import ts from 'typescript';
import { EXIT, type Program, readArguments } from '../commands/command-line.js';
import type { Room } from './room.js';
import { FLOORS } from './rooms.js';

const PROGRAM = {
  command: 'npm run check:rooms --',
  usage: ['[--write]'],
  about: 'Holds the imports of every source file against the plan in tools/rooms.ts, types included.',
  options: { write: { text: 'Writes the table of rooms into CONTRIBUTING.md.' } },
  examples: ['', '--write'],
  exitCodes: {
    [EXIT.done]: 'The source follows the plan.',
    [EXIT.failed]: 'An import, a cycle, a room or the table breaks the plan.',
    [EXIT.couldNotRun]: 'The arguments are wrong.',
  },
} as const satisfies Program;
const { values } = readArguments(PROGRAM);

const MAX_FILES = 30;
const CONTRIBUTING = 'CONTRIBUTING.md';
const TABLE = /(<!-- rooms -->\n).*(<!-- end of rooms -->)/s;

const rooms = FLOORS.flatMap(({ rooms }, floor) => rooms.map((room) => ({ ...room, floor })));

/** Finds the room of a file: the one with the longest path. */
function findRoom(file: string): (Room & { readonly floor: number }) | undefined {
  const holding = rooms.filter(({ path }) => file.startsWith(`${path}/`));
  return holding.toSorted((a, b) => b.path.length - a.path.length)[0];
}

interface Import {
  readonly from: string;
  readonly to: string;
}

/** Lists the imports of a file that name another file of the repository. */
function listImports(file: string): Import[] {
  return ts
    .preProcessFile(readFileSync(file, 'utf8'), true, true)
    .importedFiles.filter(({ fileName }) => fileName.startsWith('.'))
    .map(({ fileName }) => ({
      from: file,
      to: normalize(join(dirname(file), fileName)).replace(/\.js$/, '.ts'),
    }));
}

function describeWrongImport({ from, to }: Import): string | undefined {
  const [importer, imported] = [findRoom(from), findRoom(to)];
  if (!importer || importer.path === imported?.path) return undefined;
  if (!imported) return `${from} imports ${to}, which is in no room`;
  if (imported.floor < importer.floor || importer.neighbours?.includes(imported.path)) return undefined;
  const where = imported.floor > importer.floor ? 'a room above it' : 'a neighbour that the plan does not name';
  return `${from} imports ${to}, from ${where}`;
}

/** Finds one cycle of rooms, as the path through it. */
function findCycle(edges: ReadonlyMap<string, ReadonlySet<string>>): string[] | undefined {
  const done = new Set<string>();
  const follow = (room: string, path: readonly string[]): string[] | undefined => {
    if (path.includes(room)) return [...path.slice(path.indexOf(room)), room];
    if (done.has(room)) return undefined;
    for (const next of edges.get(room) ?? []) {
      const cycle = follow(next, [...path, room]);
      if (cycle) return cycle;
    }
    done.add(room);
    return undefined;
  };
  return [...edges.keys()].map((room) => follow(room, [])).find((cycle) => cycle !== undefined);
}

/** Says what is wrong with the page of a room. A source file must begin with a comment, before or after its imports. */
function describeWrongPage({ path, page }: Room): string | undefined {
  if (!existsSync(page)) return `${path} has the page ${page}, which does not exist`;
  const text = readFileSync(page, 'utf8');
  if (!page.endsWith('.ts')) return undefined;
  const { statements } = ts.createSourceFile(page, text, ts.ScriptTarget.Latest);
  const first = statements.find((statement) => !ts.isImportDeclaration(statement));
  const starts = [0, first?.getFullStart() ?? 0];
  const isCommented = starts.some((start) => ts.getLeadingCommentRanges(text, start)?.length);
  return isCommented ? undefined : `${path} has the page ${page}, which does not begin with a comment`;
}

function renderTable(): string {
  const lines = FLOORS.flatMap(({ name, rooms }) => [
    `**${name}**\n`,
    ...rooms.map(({ path, holds, page, neighbours = [] }) => {
      const doors = neighbours.map((neighbour) => `\`${neighbour}\``).join(', ');
      const begin = ` Begin at [${page.replace(`${path}/`, '')}](${page}).`;
      return `- \`${path}\`: ${holds}${doors ? ` Imports from its neighbours ${doors}.` : ''}${begin}`;
    }),
    '',
  ]);
  return `\n${lines.join('\n')}\n`;
}

const files = globSync(['src/**/*.ts', 'dev/**/*.ts', 'commands/**/*.ts']).filter((file) => !file.endsWith('.spec.ts'));
const imports = files.flatMap(listImports);
const faults = imports.map(describeWrongImport).filter((fault) => fault !== undefined);

const edges = new Map<string, Set<string>>(rooms.map(({ path }) => [path, new Set()]));
for (const { from, to } of imports) {
  const [importer, imported] = [findRoom(from), findRoom(to)];
  if (importer && imported && importer.path !== imported.path) edges.get(importer.path)!.add(imported.path);
}
const cycle = findCycle(edges);
if (cycle) faults.push(`The rooms import each other in a cycle: ${cycle.join(' → ')}`);

const counts = Map.groupBy(files, (file) => findRoom(file)?.path ?? '');
for (const [path, { length }] of counts) {
  if (path === '') faults.push(`These files are in no room: ${counts.get('')!.join(', ')}`);
  else if (length > MAX_FILES) faults.push(`${path} has ${String(length)} files, more than ${String(MAX_FILES)}`);
}

faults.push(...rooms.map(describeWrongPage).filter((fault) => fault !== undefined));

const contributing = readFileSync(CONTRIBUTING, 'utf8');
const expected = contributing.replace(TABLE, (_, begin: string, end: string) => `${begin}${renderTable()}${end}`);
if (values.write) writeFileSync(CONTRIBUTING, expected);
else if (contributing !== expected)
  faults.push(`${CONTRIBUTING} differs from tools/rooms.ts: npm run check:rooms -- --write`);

for (const fault of faults) console.error(fault);
if (faults.length > 0) process.exitCode = 1;
else console.log(`${String(rooms.length)} rooms, ${String(files.length)} files, no wrong import, no cycle.`);
