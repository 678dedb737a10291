import { execFile, execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** The module of SoftHSM, as Debian installs it. */
export const MODULE = '/usr/lib/softhsm/libsofthsm2.so';

const PIN = '271828';
const SO_PIN = '31415926';
const LABEL = 'passkeys';

/** A token of SoftHSM in a temporary folder, with keys that OpenSC's `pkcs11-tool` makes as the runbook says. */
export class SoftToken {
  readonly directory: string;
  /** The variables that the module needs. */
  readonly env: NodeJS.ProcessEnv;

  private constructor(directory: string) {
    this.directory = directory;
    this.env = { PATH: process.env['PATH'], SOFTHSM2_CONF: this.path('softhsm2.conf') };
  }

  static async create(): Promise<SoftToken> {
    const token = new SoftToken(await mkdtemp(join(tmpdir(), 'passkey-manager-pkcs11-')));
    await mkdir(token.path('tokens'));
    await token.write('softhsm2.conf', `directories.tokendir = ${token.path('tokens')}\nobjectstore.backend = file\n`);
    await token.write('pin', `${PIN}\n`);
    await token.run('softhsm2-util', '--init-token', '--free', '--label', LABEL, '--so-pin', SO_PIN, '--pin', PIN);
    return token;
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  async write(name: string, content: string): Promise<string> {
    await writeFile(this.path(name), content);
    return this.path(name);
  }

  async restorePin(): Promise<void> {
    await this.write('pin', `${PIN}\n`);
  }

  /** The URI of an object, with parts that differ from the right ones. */
  uri(object: string, { token = LABEL, module = MODULE, pin = this.path('pin') } = {}): string {
    return `pkcs11:token=${token};object=${object}?module-path=${module}&pin-source=file:${pin}`;
  }

  /** @param type such as `EC:edwards25519` */
  async makeKeyPair(object: string, type: string, id: string, ...options: string[]): Promise<void> {
    await this.tool('--keypairgen', '--key-type', type, '--label', object, '--id', id, '--usage-sign', ...options);
  }

  async makeSecret(object: string, id: string, ...options: string[]): Promise<void> {
    await this.tool('--keygen', '--key-type', 'GENERIC:32', '--label', object, '--id', id, '--usage-sign', ...options);
  }

  /** Reads the point of the only public key of Ed25519, as hexadecimal DER. */
  async readEd25519Point(): Promise<string> {
    const text = await this.tool('--list-objects', '--type', 'pubkey');
    return /EC_EDWARDS.*?EC_POINT: +([0-9a-f]+)/s.exec(text)?.[1] ?? text;
  }

  /** Takes the token away, as when its cable is pulled. */
  async remove(): Promise<void> {
    await rename(this.path('tokens'), this.path('removed'));
    await mkdir(this.path('tokens'));
  }

  async putBack(): Promise<void> {
    await rm(this.path('tokens'), { recursive: true });
    await rename(this.path('removed'), this.path('tokens'));
  }

  async destroy(): Promise<void> {
    await rm(this.directory, { recursive: true, force: true });
  }

  private tool(...options: string[]): Promise<string> {
    return this.run('pkcs11-tool', '--module', MODULE, '--token-label', LABEL, '--login', '--pin', PIN, ...options);
  }

  private async run(command: string, ...options: string[]): Promise<string> {
    return (await promisify(execFile)(command, options, { env: this.env })).stdout;
  }
}

/** Lists the ids of the programs that a process runs for its tokens. */
export function listPrograms(parent: number): number[] {
  return execFileSync('ps', ['-A', '-o', 'pid=,ppid=,args='], { encoding: 'utf8' })
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, ppid, ...args]) => ppid === String(parent) && args.join(' ').includes('token-program'))
    .map(([pid]) => Number(pid));
}
