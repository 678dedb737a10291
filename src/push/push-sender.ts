import { lookup as lookUp } from 'node:dns/promises';
import { Agent, type RequestOptions, request } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { Injectable } from '@nestjs/common';
import { PushFiles, type PushTrust } from './push-files.js';
import { findReceiver, isAllowedAddress, type PushReceiver } from './push-receivers.js';

/*
 * This folder sends messages to receivers outside, and to no others (docs/threat-model.md).
 *
 *  - push-sender.ts posts a message, and says how it ended.
 *  - push-receivers.ts says which hosts and addresses are allowed. push-files.ts keeps the operator's list and the certificates
 *    current.
 */

/** How long a message may take, from the first packet to the end of the answer. */
export const PUSH_TIMEOUT_MS = 10_000;
/** An answer to a message is a status, and a short text if something is wrong (RFC 8935 §2.3). */
const MAX_ANSWER_BYTES = 16_384;

export interface PushAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** At most MAX_ANSWER_BYTES in UTF-8. */
  readonly body: string;
}

/** Says why there was no answer, in words that show nothing of the message. */
export class PushError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'PushError';
  }
}

export interface Message {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface Address {
  readonly address: string;
  readonly family: number;
}
/** Finds all addresses of a name. */
export type Resolve = (host: string) => Promise<readonly Address[]>;

const resolveByDns: Resolve = (host) => lookUp(host, { all: true });

/** Connections that stay open between the messages to a receiver. They end when the operator's files change. */
class Connections {
  private agent: Agent | undefined;
  private digest: string | undefined;

  get({ digest }: PushTrust): Agent {
    if (this.digest !== digest) this.close();
    this.digest = digest;
    return (this.agent ??= new Agent({ keepAlive: true, timeout: PUSH_TIMEOUT_MS, maxCachedSessions: 0 }));
  }

  close(): void {
    this.agent?.destroy();
    this.agent = undefined;
  }
}

/** Sends messages over TLS to the receivers of PASSKEY_SIGNAL_PUSH_RECEIVERS_FILE. */
@Injectable()
export class PushSender {
  private readonly connections = new Connections();
  resolve: Resolve = resolveByDns;
  timeoutMs = PUSH_TIMEOUT_MS;

  constructor(private readonly files: PushFiles) {}

  /** False if no receivers are configured. */
  get isConfigured(): boolean {
    return this.files.trust !== undefined;
  }

  /** @returns why the service would not push to this URL; undefined: it would */
  findObjection(url: string): string | undefined {
    const receiver = findReceiver(this.files.trust?.receivers ?? [], url);
    return typeof receiver === 'string' ? receiver : undefined;
  }

  /**
   * Posts a message. It follows no redirect, and connects only to an address that it has checked.
   *
   * @throws PushError if there is no answer
   */
  async post(message: Message, stop: AbortSignal): Promise<PushAnswer> {
    const { trust } = this.files;
    const receiver = findReceiver(trust?.receivers ?? [], message.url);
    if (!trust || typeof receiver === 'string') throw new PushError('the operator does not allow this receiver');
    const late = AbortSignal.timeout(this.timeoutMs);
    const signal = AbortSignal.any([stop, late]);
    try {
      const addresses = await raceAbort(this.findAddresses(receiver), signal);
      const options = { agent: this.connections.get(trust), secureContext: trust.secureContext };
      return await post(message, receiver, addresses, { ...options, signal });
    } catch (error) {
      if (late.aborted) throw new PushError(`there was no whole answer within ${String(this.timeoutMs)} ms`);
      throw error instanceof PushError ? error : new PushError(describe(error));
    }
  }

  close(): void {
    this.connections.close();
  }

  /** One address that is not allowed refuses them all: the answer may be made to reach it by another one. */
  private async findAddresses(receiver: PushReceiver): Promise<readonly Address[]> {
    const { host } = receiver;
    const family = isIP(host);
    const addresses = family === 0 ? await this.resolve(host).catch(() => []) : [{ address: host, family }];
    if (addresses.length === 0) throw new PushError('the name of the receiver has no address');
    if (!addresses.every(({ address }) => isAllowedAddress(receiver, address)))
      throw new PushError('the receiver has an address that the operator does not allow');
    return addresses;
  }
}

/** A lookup of a name cannot be ended. */
async function raceAbort<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const end = (): void => {
    reject(signal.reason as Error);
  };
  signal.addEventListener('abort', end);
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', end);
  }
}

function post(
  { url, headers, body }: Message,
  { host }: PushReceiver,
  addresses: readonly Address[],
  options: RequestOptions,
): Promise<PushAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<PushAnswer>();
  const sent = request(url, {
    ...options,
    method: 'POST',
    headers: { ...headers, 'content-length': Buffer.byteLength(body) },
    lookup: answerLookups(addresses),
    rejectUnauthorized: true,
    ...(isIP(host) === 0 && { servername: host }),
  });
  sent.on('error', reject);
  sent.on('response', (response) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    response.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > MAX_ANSWER_BYTES) sent.destroy(new PushError('the answer is too large'));
      else chunks.push(chunk);
    });
    response.on('error', reject);
    response.on('end', () => {
      resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks).toString() });
    });
  });
  sent.end(body);
  return promise;
}

/** Gives a connection the addresses that were checked, and no others. */
function answerLookups(addresses: readonly Address[]): LookupFunction {
  return (_host, { all }, answer) => {
    const [first] = addresses as [Address];
    if (all) answer(null, [...addresses]);
    else answer(null, first.address, first.family);
  };
}

/** Names an error of a connection by its code: messages may hold what the receiver sent. */
function describe(error: unknown): string {
  const { code, name } = error as NodeJS.ErrnoException;
  return `the connection failed: ${code ?? name}`;
}
