import { hash } from 'node:crypto';
import type { ReloadReporter } from '../audit/reload-reporter.js';
import { type Config, ConfigError } from '../config/config.js';
import { isDevelopmentKey } from '../config/development.js';
import { readBounded } from '../config/read-bounded.js';
import { type FileListener, WatchedFiles } from '../config/watched-files.js';
import type { SigningKey, SigningKeySet } from './read-signing-keys.js';

/*
 * This folder has the keys that sign JWTs, and whose public parts verifiers fetch.
 *
 *  - signing-key-file.ts keeps the keys of a file current. read-signing-keys.ts reads them.
 *  - publish-keys.ts makes the JWK set, and answers a request for it.
 *  - sign-jwt.ts signs.
 */

const MAX_BYTES = 64 * 1_024;

interface LoadedKeys {
  readonly digest: string;
  readonly keys: SigningKeySet;
}

/** The state that operators see. */
export interface SigningKeysState {
  /** The `kid` of the key that signs. */
  readonly signs: string;
  /** The `kid` of every other key that is published. */
  readonly published: readonly string[];
  readonly refused: string | undefined;
}

/** A file of signing keys: its setting, what its keys must be, and who hears of a reload. */
export interface SigningKeySource {
  readonly setting: string;
  readonly path: string;
  readonly config: Pick<Config, 'production' | 'allowDevelopment'>;
  /** @throws Error whose message says what is wrong with the file, and shows nothing of it */
  readonly read: (text: string) => Promise<SigningKeySet>;
  readonly reloads: ReloadReporter;
}

/**
 * Holds the keys of a file: the first one signs, and all are published. A new file is taken whole, between two signatures.
 * One bad key stops the boot, and later keeps the previous keys in use.
 */
export class SigningKeyFile {
  private constructor(
    private readonly files: WatchedFiles<LoadedKeys>,
    private readonly reloads: ReloadReporter,
  ) {}

  /** @throws ConfigError if the file holds anything but keys that can sign */
  static async open({ setting, path, config, read, reloads }: SigningKeySource): Promise<SigningKeyFile> {
    const load = async (held: LoadedKeys | undefined): Promise<LoadedKeys> => {
      const text = (await readBounded(path, MAX_BYTES)).toString('latin1');
      const digest = hash('sha256', text);
      if (digest === held?.digest) return held;
      if (config.production && !config.allowDevelopment && isDevelopmentKey(text))
        throw new Error('holds a key that development generated');
      return { digest, keys: await read(text) };
    };
    try {
      return new SigningKeyFile(await WatchedFiles.open([path], load), reloads);
    } catch (error) {
      throw new ConfigError([`${setting}: "${path}" ${(error as Error).message}`]);
    }
  }

  get keys(): SigningKeySet {
    return this.files.value.keys;
  }

  watch(): void {
    this.files.watch(this.reports);
  }

  close(): Promise<void> {
    return this.files.close();
  }

  /** Reloads the file if it has changed. A file with a mistake changes nothing. Never throws. */
  reload(): Promise<void> {
    return this.files.checkFiles(this.reports);
  }

  describeState(): SigningKeysState {
    const [signs, ...published] = listIds(this.keys) as [string, ...string[]];
    return { signs, published, refused: this.files.refused };
  }

  private readonly reports: FileListener<LoadedKeys> = {
    onReloaded: (loaded, previous, files) => {
      const [now, before] = [listIds(loaded.keys), listIds(previous.keys)];
      const added = now.filter((id) => !before.includes(id));
      const removed = before.filter((id) => !now.includes(id));
      this.reloads.reportSuccess(files, { signs: now[0], formerly_signed: before[0], added, removed });
    },
    onRefused: (detail) => {
      this.reloads.reportFailure(detail);
    },
  };
}

function listIds(keys: readonly SigningKey[]): string[] {
  return keys.map(({ kid }) => kid);
}
