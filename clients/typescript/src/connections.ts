import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { Agent } from 'node:https';
import { createSecureContext } from 'node:tls';

export interface ConnectionOptions {
  /**
   * PEM files: the caller's certificate with its chain, its private key, and the CA of Passkey Manager's certificate.
   * When they change, new requests use the new ones.
   */
  certFile: string;
  keyFile: string;
  caFile: string;
  /** The most connections to the service. 32 by default; further requests wait for one. */
  connections?: number;
}

/** Shorter than what the service allows (65 seconds), so that it never closes a connection that a request is about to use. */
const IDLE_MS = 60_000;

/** The settings of a connection. */
interface Material {
  readonly stamp: string;
  readonly agent: Agent;
  readonly certificate: X509Certificate;
}

/** The connections to the service. All requests share them, until the files change. */
export class Connections {
  readonly #options: ConnectionOptions;
  #material: Material;
  #trouble: string | undefined;

  /** @throws Error when the files cannot be used */
  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#material = read(options, stamp(options));
  }

  get agent(): Agent {
    return this.#material.agent;
  }

  /** True if the caller's certificate has expired, or is of the future. */
  isCertificateInvalid(): boolean {
    const { validFrom, validTo } = this.#material.certificate;
    const now = Date.now();
    return now < Date.parse(validFrom) || now > Date.parse(validTo);
  }

  /** Says why files that have changed are not in use. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /**
   * Reads the files again if they have changed. Files that cannot be used, such as a new certificate beside the former
   * key, change nothing until they change again. Running requests finish on their connections.
   *
   * @returns true if new requests use new files
   */
  refresh(): boolean {
    try {
      const now = stamp(this.#options);
      if (now === this.#material.stamp) {
        this.#trouble = undefined;
        return false;
      }
      const former = this.#material;
      this.#material = read(this.#options, now);
      this.#trouble = undefined;
      retire(former.agent);
      return true;
    } catch (error) {
      this.#trouble = (error as Error).message;
      return false;
    }
  }

  close(): void {
    retire(this.#material.agent);
  }
}

/** Changes with the content of the files, also if another file takes the place of one, or a symbolic link leads elsewhere. */
function stamp({ certFile, keyFile, caFile }: ConnectionOptions): string {
  return [certFile, keyFile, caFile]
    .map((file) => {
      const { dev, ino, size, mtimeNs, ctimeNs } = statSync(file, { bigint: true });
      return [dev, ino, size, mtimeNs, ctimeNs].join(':');
    })
    .join(' ');
}

function read({ certFile, keyFile, caFile, connections = 32 }: ConnectionOptions, stamp: string): Material {
  const certificate = parse(certFile, (pem) => new X509Certificate(pem));
  const key = parse(keyFile, (pem) => createPrivateKey(pem));
  parse(caFile, (pem) => new X509Certificate(pem));
  if (!certificate.checkPrivateKey(key)) throw new Error(`${keyFile} is not the key of the certificate in ${certFile}`);
  const [cert, pem, ca] = [certFile, keyFile, caFile].map((file) => readFileSync(file));
  const secureContext = createSecureContext({ cert, key: pem, ca, minVersion: 'TLSv1.3' });
  const agent = new Agent({
    keepAlive: true,
    maxSockets: connections,
    timeout: IDLE_MS,
    // A resumed session would keep a certificate alive that has been replaced.
    maxCachedSessions: 0,
    secureContext,
    // Otherwise NODE_TLS_REJECT_UNAUTHORIZED could turn the verification of the service off.
    rejectUnauthorized: true,
  });
  return { stamp, agent, certificate };
}

function parse<Value>(file: string, decode: (pem: Buffer) => Value): Value {
  const pem = readFileSync(file);
  try {
    return decode(pem);
  } catch (error) {
    throw new Error(`${file} cannot be used: ${(error as Error).message}`, { cause: error });
  }
}

/** Closes the idle connections of an agent now, and the others after their requests. */
function retire(agent: Agent): void {
  agent.maxFreeSockets = 0;
  for (const socket of Object.values(agent.freeSockets).flat()) socket?.destroy();
}
