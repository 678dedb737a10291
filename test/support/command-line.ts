import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runCommandLine } from '../../commands/passkey-manager/run-command-line.js';
import type { TestService } from './service.js';
import { until } from './until.js';

export interface Ran {
  /** undefined: Ctrl-C ended it. */
  readonly code: number | undefined;
  readonly out: string;
  readonly err: string;
}

export interface RunOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** Standard output is a terminal. */
  readonly terminal?: boolean;
}

/** Runs `passkey-manager` in this process, against a service under test. */
export class CommandLine {
  private readonly service: TestService;
  private readonly url: string;

  /** @param url of the service, or of a wire before it */
  constructor(service: TestService, url = service.running.httpsUrl) {
    [this.service, this.url] = [service, url];
  }

  async run(identity: string, args: readonly string[], options: RunOptions = {}): Promise<Ran> {
    return new Running(args, this.login(identity), options).end;
  }

  /** Runs a command with JSON as its output. @returns the JSON */
  async read<Value>(identity: string, ...args: string[]): Promise<Value> {
    const { code, out, err } = await this.run(identity, [...args, '--output', 'json']);
    if (code !== 0) throw new Error(`${args.join(' ')} ended with ${String(code)}: ${err}`);
    return JSON.parse(out) as Value;
  }

  /** Begins a command that runs until Ctrl-C. */
  start(identity: string, ...args: string[]): Running {
    return new Running(args, this.login(identity), {});
  }

  /** The environment by which the command line finds the service and the identity. */
  login(identity: string): NodeJS.ProcessEnv {
    const file = (name: string, text: string): string => {
      const path = join(this.service.dataDir, name);
      writeFileSync(path, text);
      return path;
    };
    const { cert, key } = this.service.certificateOf(identity);
    return {
      PASSKEY_MANAGER_URL: this.url,
      PASSKEY_MANAGER_CERT: file(`cli-${identity}.crt`, cert),
      PASSKEY_MANAGER_CERT_KEY: file(`cli-${identity}.key`, key),
      PASSKEY_MANAGER_CA: file('cli-ca.crt', this.service.pki.ca),
    };
  }
}

/** A command that runs. */
export class Running {
  readonly end: Promise<Ran>;
  out = '';
  err = '';
  private interrupt: (() => void) | undefined;

  constructor(args: readonly string[], login: NodeJS.ProcessEnv, { env = {}, terminal = false }: RunOptions) {
    const stdout = { isTTY: terminal, write: (text: string) => (this.out += text) };
    const stderr = { isTTY: terminal, write: (text: string) => (this.err += text) };
    const onInterrupt = (interrupt: () => void): (() => void) => {
      this.interrupt = interrupt;
      return () => (this.interrupt = undefined);
    };
    this.end = runCommandLine(args, { stdout, stderr, env: { ...login, ...env }, onInterrupt }).then((code) => ({
      code,
      out: this.out,
      err: this.err,
    }));
  }

  /** The lines of JSON that have come. */
  readLines<Line>(): Line[] {
    return this.out.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Line]));
  }

  async waitForLines(count: number): Promise<void> {
    await until(() => this.out.split('\n').length > count);
  }

  pressCtrlC(): Promise<Ran> {
    this.interrupt?.();
    return this.end;
  }
}
