import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** The paths that commits have given the programs of the build, the newest first. */
const PROGRAMS = {
  service: ['dist/src/main.js'],
  migrate: ['dist/commands/migrate.js', 'dist/src/migrate.js'],
  prepare: ['dist/dev/prepare.js', 'dist/src/prepare.js'],
} as const;

/** A checkout of this repository, at any commit, with its own node_modules and build. */
export class Checkout {
  readonly root: string;
  /** The path of the service's main module. */
  readonly service: string;
  private readonly migrateProgram: string;
  private readonly prepareProgram: string;

  /** @throws Error if the directory is not a checkout, or not built */
  constructor(directory: string) {
    this.root = resolve(directory);
    this.service = this.find('service');
    this.migrateProgram = this.find('migrate');
    this.prepareProgram = this.find('prepare');
  }

  /** Keeps the paths of one machine out of the results. */
  toJSON(): undefined {
    return undefined;
  }

  /** Makes certificates, keys and an access policy without rates, as for a trial. */
  prepare(directory: string): void {
    run([this.prepareProgram, directory]);
  }

  /** Migrates a database to the schema of this checkout. */
  migrate(databaseUrl: string): void {
    run([this.migrateProgram], { DATABASE_URL: databaseUrl });
  }

  private find(program: keyof typeof PROGRAMS): string {
    const paths = PROGRAMS[program];
    const found = paths.map((path) => join(this.root, path)).find((path) => existsSync(path));
    if (found !== undefined) return found;
    throw new Error(
      `${this.root} is not built: it has no ${paths.join(' and no ')}. Run npm ci and npm run build there`,
    );
  }
}

/** The checkout that this benchmark belongs to. */
export const HERE = new Checkout(join(import.meta.dirname, '../..'));

function run(args: readonly string[], env: NodeJS.ProcessEnv = {}): void {
  execFileSync(process.execPath, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}
