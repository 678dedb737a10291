import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PeerCertificate, TLSSocket } from 'node:tls';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { launchPasskeyManager, type PasskeyManagerProcess } from '../../examples/auth-service/launch.ts';
import type { Issued } from './openssl.ts';

/** Milliseconds that a change may take, even on a crowded machine. */
const DEADLINE_MS = 60_000;
const SERVER_ID = 'URI:spiffe://bank.example/passkey-manager';

export const POLICY = `version: 1
trustDomain: bank.example
services:
  - id: spiffe://bank.example/auth-service
    permissions: [passkeys:read]
  - id: spiffe://bank.example/other-service
    permissions: [passkeys:read]
`;

/** A directory that belongs to one test file, in which the files of the service have the names that spiffe-helper gives. */
export class Files {
  readonly directory: string;
  #service: Service | undefined;

  private constructor(directory: string) {
    this.directory = directory;
  }

  static async create(): Promise<Files> {
    const files = new Files(await mkdtemp(join(tmpdir(), 'passkey-manager-openssl-')));
    await files.write('policy.yaml', POLICY);
    return files;
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  /** Writes a file in place, as spiffe-helper does. */
  write(name: string, content: string): Promise<void> {
    return writeFile(this.path(name), content);
  }

  get env(): NodeJS.ProcessEnv {
    return {
      PATH: process.env['PATH'],
      PASSKEY_DATA_DIR: this.path('data'),
      PASSKEY_HTTPS_PORT: '0',
      PASSKEY_MANAGEMENT_PORT: '0',
      PASSKEY_TLS_CERT_FILE: this.path('svid.pem'),
      PASSKEY_TLS_KEY_FILE: this.path('svid_key.pem'),
      PASSKEY_TLS_CA_FILE: this.path('svid_bundle.pem'),
      PASSKEY_TLS_CRL_FILE: this.path('crl.pem'),
      PASSKEY_ACCESS_POLICY_FILE: this.path('policy.yaml'),
    };
  }

  /** @param env variables in addition to those that name the files */
  async start(env: NodeJS.ProcessEnv = {}): Promise<Service> {
    this.#service = await Service.start({ ...this.env, ...env });
    return this.#service;
  }

  /** Stops the running service and deletes the directory. */
  async remove(): Promise<void> {
    await this.#service?.stop();
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** Returns the message of a start that fails. */
export function readStartFailure(env: NodeJS.ProcessEnv): Promise<string> {
  const main = fileURLToPath(new URL('../../dist/src/main.js', import.meta.url));
  return new Promise((resolve) => {
    execFile(process.execPath, [main], { env, timeout: 30_000 }, (error, _stdout, stderr) => {
      resolve(error ? stderr : 'it started');
    });
  });
}

interface Ready {
  readonly status: string;
  readonly details: Readonly<Record<'certificate' | 'crl' | 'access_policy', Readonly<Record<string, unknown>>>>;
}

export class Service {
  readonly #process: PasskeyManagerProcess;

  private constructor(process: PasskeyManagerProcess) {
    this.#process = process;
  }

  static async start(env: NodeJS.ProcessEnv): Promise<Service> {
    return new Service(await launchPasskeyManager(env));
  }

  async ready(): Promise<Ready> {
    return (await (await fetch(`${this.#process.managementUrl}/health/ready`)).json()) as Ready;
  }

  /** Makes a change, and waits until it applies. @throws Error if that takes too long */
  async reloaded(change: () => Promise<unknown>): Promise<void> {
    const said = async () => {
      const { certificate, access_policy: policy } = (await this.ready()).details;
      return JSON.stringify([certificate['epoch'], policy['digest']]);
    };
    const before = await said();
    await change();
    const deadline = Date.now() + DEADLINE_MS;
    while ((await said()) === before) {
      if (Date.now() > deadline) throw new Error(`not in force in time: ${JSON.stringify(await this.ready())}`);
      await sleep(25);
    }
  }

  /** Makes a change, and waits until it is refused for this reason. @throws Error when that takes too long */
  async refused(change: () => Promise<unknown>, reason: RegExp): Promise<void> {
    await change();
    const deadline = Date.now() + DEADLINE_MS;
    while (!reason.test(String((await this.ready()).details.certificate['refused']))) {
      if (Date.now() > deadline) throw new Error(`not refused in time: ${JSON.stringify(await this.ready())}`);
      await sleep(25);
    }
  }

  /** Makes a change after which the files agree with the loaded ones again. */
  async restored(change: () => Promise<unknown>): Promise<void> {
    await change();
    const deadline = Date.now() + DEADLINE_MS;
    while ((await this.ready()).details.certificate['refused'] !== undefined) {
      if (Date.now() > deadline) throw new Error(`not restored in time: ${JSON.stringify(await this.ready())}`);
      await sleep(25);
    }
  }

  caller(certificate: Pick<Issued, 'cert' | 'key'>, ca: string): Caller {
    return new Caller(this.#process.url, certificate, ca);
  }

  stop(): Promise<unknown> {
    return this.#process.stop();
  }
}

export interface Answer {
  readonly status: number;
  readonly detail: unknown;
  /** The serial number of the service's certificate. */
  readonly server: string;
}

/** A caller that keeps its connection and identifies the service by its SPIFFE ID. */
export class Caller {
  readonly #url: string;
  readonly #agent: Agent;

  constructor(url: string, { cert, key }: Pick<Issued, 'cert' | 'key'>, ca: string) {
    this.#url = url;
    const checkServerIdentity = (_host: string, { subjectaltname = '' }: PeerCertificate) =>
      subjectaltname === SERVER_ID ? undefined : new Error(`the server is ${subjectaltname}`);
    this.#agent = new Agent({ cert, key, ca, keepAlive: true, maxSockets: 1, checkServerIdentity });
  }

  /** @throws Error if the service refuses the handshake */
  callApi(): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const outgoing = request(`${this.#url}/v1/credentials`, { agent: this.#agent }, (response) => {
        const server = (response.socket as TLSSocket).getPeerCertificate().serialNumber;
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => (text += part));
        response.on('end', () => {
          const { detail } = JSON.parse(text) as { detail?: unknown };
          resolve({ status: response.statusCode ?? 0, detail, server });
        });
      });
      outgoing.on('error', reject).end();
    });
  }

  /** Returns the status, or `refused` if there is no answer. */
  async outcome(): Promise<number | string> {
    return this.callApi().then(
      ({ status, detail }) => (status === 200 ? 200 : `${String(status)} ${String(detail)}`),
      () => 'refused',
    );
  }

  close(): void {
    this.#agent.destroy();
  }
}
