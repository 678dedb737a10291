import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import type { Listener } from './config.js';
import { isServiceLink } from './unknown-settings.js';

/** A higher number is more likely a mistake than a larger machine. */
const MAX_WORKERS = 64;

/** Reads the settings of an environment, and notes every mistake. An empty value counts as absent. */
export class Settings {
  readonly env: NodeJS.ProcessEnv;
  readonly mistakes: string[] = [];

  constructor(env: NodeJS.ProcessEnv) {
    this.env = env;
  }

  readOneOf<Value extends string>(name: string, allowed: readonly Value[], fallback: Value): Value {
    const value = (this.env[name] || fallback) as Value;
    if (!allowed.includes(value)) this.mistakes.push(`${name} is "${value}"; it must be one of ${allowed.join(', ')}`);
    return value;
  }

  readDirectory(name: string, fallback: string): string {
    return resolve(this.env[name] || fallback);
  }

  readName(name: string, fallback: string): string {
    const value = this.env[name] || fallback;
    if (!/^[A-Za-z0-9._-]{1,100}$/.test(value)) {
      this.mistakes.push(`${name} is "${value}"; it must be 1 to 100 letters, digits, dots, hyphens and underscores`);
    }
    return value;
  }

  /** Reads a number of workers; `auto` is the number of cores that the process may use. */
  readWorkers(name: string): number {
    const value = this.env[name] || '1';
    const count = value === 'auto' ? Math.min(availableParallelism(), MAX_WORKERS) : Number(value);
    if (value !== 'auto' && (!/^\d{1,2}$/.test(value) || count < 1 || count > MAX_WORKERS))
      this.mistakes.push(`${name} is "${value}"; it must be auto, or a number from 1 to ${String(MAX_WORKERS)}`);
    return count;
  }

  readPercent(name: string, fallback: number): number {
    const value = this.env[name] || String(fallback);
    const percent = Number(value);
    if (!/^\d{1,3}$/.test(value) || percent < 1 || percent > 100)
      this.mistakes.push(`${name} is "${value}"; it must be a percentage from 1 to 100`);
    return percent;
  }

  readFlag(name: string): boolean {
    return this.readOneOf(name, ['true', 'false'], 'false') === 'true';
  }

  readListener(prefix: string, defaultPort: number): Listener {
    const name = `${prefix}_PORT`;
    const text = this.env[name] || String(defaultPort);
    const port = Number(text);
    if (!/^\d{1,5}$/.test(text) || port > 65_535) {
      const service = prefix.toLowerCase().replaceAll('_', '-');
      const why = isServiceLink(name, text)
        ? `: Kubernetes sets it for a Service named ${service}, unless the pod has enableServiceLinks: false`
        : '';
      this.mistakes.push(`${name} is "${text}"; it must be a port, 0 to 65535${why}`);
    }
    return Object.freeze({ host: this.env[`${prefix}_HOST`] || '127.0.0.1', port });
  }

  /**
   * @param fallback the path of the file that development generates; undefined if the setting is required
   * @param instead says what may be set instead
   */
  readFilePath(name: string, fallback: string | undefined, instead = ''): string {
    const path = this.readOptionalFilePath(name) ?? fallback;
    if (path === undefined)
      this.mistakes.push(`${name} is not set; NODE_ENV=production uses no generated default${instead}`);
    return path ?? '';
  }

  readOptionalFilePath(name: string): string | undefined {
    const value = this.env[name];
    if (!value) return undefined;
    const path = resolve(value);
    try {
      accessSync(path, constants.R_OK);
      if (statSync(path).isDirectory()) this.mistakes.push(`${name} names "${path}", which is a directory`);
    } catch {
      this.mistakes.push(`${name} names "${path}", which cannot be read`);
    }
    return path;
  }

  /** Reads a setting that names a folder. @returns the path of the file with the given name in it */
  readFileInFolder(setting: string, name: string): string | undefined {
    const folder = this.env[setting];
    if (!folder) return undefined;
    const path = join(resolve(folder), name);
    try {
      accessSync(path, constants.R_OK);
    } catch {
      this.mistakes.push(`${setting} names "${resolve(folder)}", whose ${name} cannot be read`);
    }
    return path;
  }

  /** The file need not exist yet, but its directory must. */
  readAppendedFilePath(name: string): string | undefined {
    const value = this.env[name];
    if (!value) return undefined;
    const path = resolve(value);
    try {
      const exists = existsSync(path);
      if (exists && statSync(path).isDirectory()) this.mistakes.push(`${name} names "${path}", which is a directory`);
      accessSync(exists ? path : dirname(path), constants.W_OK);
    } catch {
      this.mistakes.push(`${name} names "${path}", which cannot be written`);
    }
    return path;
  }

  readHttpUrl(name: string): string | undefined {
    const value = this.env[name];
    if (!value) return undefined;
    const url = URL.canParse(value) ? new URL(value) : undefined;
    const plain = url && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '';
    if (!plain) this.mistakes.push(`${name} must be an http or https URL without a user and a password`);
    return value;
  }

  /** Reads a list with the second and the third line of each checkpoint: its size, and its root in base64. */
  readCheckpoints(name: string): readonly { size: number; root: Buffer }[] | undefined {
    const value = this.env[name];
    if (!value) return undefined;
    const checkpoints = value.split(',').map((text) => {
      const [, size, root] = /^ ?([1-9]\d{0,14}) ([A-Za-z0-9+/]{43}=)$/.exec(text) ?? [];
      if (size === undefined || root === undefined)
        this.mistakes.push(`${name} must have the size of each checkpoint, a space and its root in base64`);
      return Object.freeze({ size: Number(size), root: Buffer.from(root ?? '', 'base64') });
    });
    return Object.freeze(checkpoints);
  }
}
