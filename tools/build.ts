/**
 * `npm run build` compiles the source into a folder of its own, `builds/<digest of the source>`, and then lets the link `dist`
 * name that folder, in one step. So `dist` is always a whole build, and a build takes nothing away from a service that runs: it
 * and its workers go on in the folder that they began in. A folder goes when no process has named it for an hour.
 *
 * The image is built by this file and build-page.ts alone, so they import nothing else of the project.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  globSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildPage, PAGE_SOURCES } from './build-page.ts';

const USAGE = 'usage: npm run build [-- --if-missing]';
const HELP = `${USAGE}

Compiles the source into a new folder below builds, and lets dist name it. It does nothing if dist is built from this source.

Options:
  --if-missing  Builds only if dist is missing, and says if it is older than the source.
  --help, -h    Prints this text.

Exit codes:
  0  dist is there.
  1  The source does not compile, or the build cannot write; dist is as it was.
  2  The arguments are wrong.

Examples:
  npm run build
  npm run build -- --if-missing`;

const LINK = 'dist';
const BUILDS = 'builds';
/** `npm run start:dev` compiles into it. */
const WATCHED = 'watch';
const KEPT_MS = 3_600_000;
const SOURCES = ['src', 'commands', 'dev', 'clients/typescript/src'];
const SETTINGS = [
  'ormconfig.ts',
  'nest-cli.json',
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'tools/build.ts',
  'tools/build-page.ts',
];

function readOptions(): { ifMissing: boolean } {
  try {
    const { values } = parseArgs({
      options: { 'if-missing': { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h' } },
    });
    if (values.help) {
      console.log(HELP);
      process.exit(0);
    }
    return { ifMissing: values['if-missing'] };
  } catch (error) {
    console.error(`${(error as Error).message.replace(/\. .*/, '.')}\n${USAGE}`);
    process.exit(2);
  }
}

/** Names a build after all that it is made of. */
function digestSource(): string {
  const files = [...SOURCES.map((folder) => `${folder}/**/*.{ts,json,yaml}`), ...PAGE_SOURCES]
    .flatMap((pattern) => globSync(pattern))
    .filter((path) => !path.endsWith('.spec.ts'))
    .sort();
  const hash = createHash('sha256');
  for (const path of [...files, ...SETTINGS]) hash.update(`${path}\0`).update(readFileSync(path)).update('\0');
  return hash.digest('hex').slice(0, 16);
}

/** @returns the name of the build that `dist` names; undefined for none */
function findCurrent(): string | undefined {
  return lstatSync(LINK, { throwIfNoEntry: false })?.isSymbolicLink() ? basename(readlinkSync(LINK)) : undefined;
}

/** Compiles into a folder that gets its name when it is complete. @returns false if the source does not compile */
async function compile(name: string): Promise<boolean> {
  const unfinished = join(BUILDS, `${name}.${String(process.pid)}`);
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished, { recursive: true });
  try {
    const tsc = ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json', '--outDir', unfinished];
    const { status, stdout } = spawnSync(process.execPath, tsc, { stdio: ['ignore', 'pipe', 'inherit'] });
    if (status !== 0) {
      console.error(`\n${stdout.toString()}The source does not compile.`);
      return false;
    }
    copyAssets(unfinished);
    const fault = await buildPage(join(unfinished, 'console'));
    if (fault !== undefined) {
      console.error(`\n${fault}The page of the console does not compile.`);
      return false;
    }
    for (const program of listPrograms()) guardProgram(join(unfinished, program));
    renameSync(unfinished, join(BUILDS, name));
    return true;
  } catch (error) {
    // Another build of the same source may have been faster.
    if (!existsSync(join(BUILDS, name))) throw error;
    return true;
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
}

function copyAssets(build: string): void {
  const { sourceRoot, compilerOptions } = JSON.parse(readFileSync('nest-cli.json', 'utf8')) as {
    sourceRoot: string;
    compilerOptions: { assets: string[] };
  };
  for (const asset of globSync(compilerOptions.assets, { cwd: sourceRoot }))
    cpSync(join(sourceRoot, asset), join(build, sourceRoot, asset));
}

/** Lists the files that `node` is started with: those of the npm scripts, and the one that only `docker compose` starts. */
function listPrograms(): string[] {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };
  const started = Object.values(scripts).flatMap((script) => /(?<=node .*)\bdist\/(\S+\.js)/.exec(script)?.[1] ?? []);
  return [...new Set([...started, 'dev/prepare.js'])];
}

/**
 * Puts a file in front of a program that ends on a Node.js that is too old, and says so. It can't be in the program: an older
 * Node.js fails before it runs the first line.
 */
function guardProgram(path: string): void {
  const { engines } = JSON.parse(readFileSync('package.json', 'utf8')) as { engines: { node: string } };
  const [needed = '', major = '', minor = ''] = /(\d+)\.(\d+)/.exec(engines.node) ?? [];
  const program = path.replace(/\.js$/, '.program.js');
  renameSync(path, program);
  writeFileSync(
    path,
    `#!/usr/bin/env node
// tools/build.ts makes this file. The program is in ${basename(program)}.
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < ${major} || (major === ${major} && minor < ${minor})) {
  console.error('Passkey Manager needs Node.js ${needed} or later, and this is ' + process.versions.node + ' (' + process.execPath + ').');
  process.exit(${path.endsWith('main.js') ? '1' : '2'});
}
await import('./${basename(program)}');
`,
    { mode: 0o755 },
  );
}

/** Lets `dist` name a build. Whoever looks at `dist` meanwhile finds the old build or the new one. */
function useBuild(name: string): void {
  const link = `${LINK}.${String(process.pid)}`;
  const [current, found] = [findCurrent(), lstatSync(LINK, { throwIfNoEntry: false })];
  if (current !== undefined && existsSync(LINK)) utimesSync(LINK, new Date(), new Date());
  // Another tool has compiled into `dist` itself.
  if (found?.isDirectory()) renameSync(LINK, join(BUILDS, `other.${String(Date.now())}`));
  symlinkSync(join(BUILDS, name), link, 'junction');
  renameSync(link, LINK);
}

/** Removes the builds that were replaced an hour ago, unless the command line of a process, such as a worker, names them. */
function removeOldBuilds(): void {
  const running = listCommandLines();
  if (running === undefined) return;
  for (const name of readdirSync(BUILDS)) {
    const path = join(BUILDS, name);
    const isUsed = [findCurrent(), WATCHED].includes(name) || running.includes(`${path}/`);
    const isOld = Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Infinity) > KEPT_MS;
    if (!isUsed && isOld) rmSync(path, { recursive: true, force: true });
  }
}

/** @returns undefined on a system without `ps`, where old builds stay */
function listCommandLines(): string | undefined {
  try {
    const args = ['-A', '-ww', '-o', 'args='];
    return execFileSync('ps', args, { encoding: 'utf8', maxBuffer: 2 ** 26, stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    return undefined;
  }
}

async function build(name: string): Promise<void> {
  const began = performance.now();
  process.stderr.write('Building … ');
  try {
    if (!existsSync(join(BUILDS, name)) && !(await compile(name))) process.exit(1);
    useBuild(name);
    removeOldBuilds();
  } catch (error) {
    // Such as in a checkout of another user, or on a full disk.
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    console.error(`\nThe build cannot write: ${(error as Error).message}.`);
    process.exit(1);
  }
  process.stderr.write(`${((performance.now() - began) / 1_000).toFixed(0)} s\n`);
}

const { ifMissing } = readOptions();
process.chdir(dirname(import.meta.dirname));
const isThere = existsSync(LINK);
// A deployment without the source runs what it has.
if (!(isThere && !existsSync('src'))) {
  const name = digestSource();
  if (!isThere || findCurrent() !== name) {
    if (isThere && ifMissing) {
      console.error('dist is older than the source, and runs as it is. To build it again: npm run build');
    } else {
      await build(name);
    }
  }
}
