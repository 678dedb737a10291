import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { extname } from 'node:path';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { TokenAnswer, TokenRequest } from './token-program.js';
import { parseTokenUri, TokenError } from './token-uri.js';

/*
 * Keys that stay in a PKCS#11 token.
 *
 *  - token.ts opens them: a key pair that signs, and a secret that the service derives keys from.
 *  - token-uri.ts reads the URI that names a key (RFC 7512).
 *  - token-program.ts runs beside the service and talks to the token, because the token's library is native code.
 */

/** A key pair of Ed25519 whose private key stays in its token. */
export interface TokenKey {
  readonly publicKey: KeyObject;
  /** @throws TokenError */
  sign(message: Buffer): Promise<Buffer>;
}

/** What a token must sign before it is used. No checkpoint looks like it. */
const TRIAL = Buffer.from('passkey-manager: can this token sign?');
/** The message whose MAC is the secret. Another one is another secret. */
const MASTER_LABEL = 'passkey-manager/master/v1';
/** The start waits so long for a token, and for the program to begin. */
const START_WITHIN_MS = 30_000;
/** A turn of the sequencer waits so long. PostgreSQL ends its transaction after 10 s. */
const SIGN_WITHIN_MS = 5_000;
const PROGRAM = fileURLToPath(new URL(`./token-program${extname(import.meta.url)}`, import.meta.url));

/** Reads the public key and lets the token sign once, which takes a few hundred milliseconds. @throws TokenError */
export function openTokenKey(text: string): TokenKey {
  const uri = parseTokenUri(text);
  const [point, signature] = askOnce([
    { uri, operation: 'public-key', data: '' },
    { uri, operation: 'sign', data: TRIAL.toString('base64') },
  ]) as [Buffer, Buffer];
  const publicKey = createPublicKey({ key: point, format: 'raw-public', asymmetricKeyType: 'ed25519' });
  demandSignature(publicKey, TRIAL, signature);
  const process = new TokenProcess();
  return {
    publicKey,
    sign: async (message) => {
      const signed = await process.ask({ uri, operation: 'sign', data: message.toString('base64') });
      demandSignature(publicKey, message, signed);
      return signed;
    },
  };
}

/** Without this check, a wrong signature would get into the log, which nobody could continue then. */
function demandSignature(publicKey: KeyObject, message: Buffer, signature: Buffer): void {
  if (verify(null, message, publicKey, signature)) return;
  throw new TokenError('the token signed with another private key than the one of its public key');
}

/** Derives 32 secret bytes by HMAC-SHA-256 under a secret key that stays in its token. @throws TokenError */
export function readTokenMaster(text: string): Buffer {
  const data = Buffer.from(MASTER_LABEL).toString('base64');
  return askOnce([{ uri: parseTokenUri(text), operation: 'mac', data }])[0]!;
}

/** Runs the program for these requests alone, and waits for it. @throws TokenError */
function askOnce(requests: readonly TokenRequest[]): Buffer[] {
  const { output, error } = spawnSync(process.execPath, [PROGRAM], {
    input: requests.map(formatRequest).join(''),
    stdio: ['pipe', 'ignore', 'ignore', 'pipe'],
    timeout: START_WITHIN_MS,
    killSignal: 'SIGKILL',
  });
  if (error) throw new TokenError(`the token did not answer: ${error.message}`);
  const lines = String(output[3]).split('\n');
  return requests.map((_, index) => readAnswer(lines[index]));
}

function formatRequest(request: TokenRequest): string {
  return `${JSON.stringify(request)}\n`;
}

/** @param line undefined or empty if the program ended before it answered */
function readAnswer(line: string | undefined): Buffer {
  if (!line) throw new TokenError('the program that loads the PKCS#11 module ended before it answered');
  const { result, error } = JSON.parse(line) as TokenAnswer;
  if (result === undefined) throw new TokenError(error);
  return Buffer.from(result, 'base64');
}

interface Waiting {
  resolve(signature: Buffer): void;
  reject(error: unknown): void;
}

/** Runs the program from the first request on, and again after it has ended. It answers in the order of the requests. */
class TokenProcess {
  private running: { readonly child: ChildProcess; readonly waiting: Waiting[] } | undefined;
  /** Set once the token has refused the PIN: more tries would lock it. */
  private refusal: string | undefined;

  ask(request: TokenRequest): Promise<Buffer> {
    if (this.refusal !== undefined) return Promise.reject(new TokenError(this.refusal));
    const { child, waiting } = (this.running ??= this.start());
    const timer = setTimeout(() => child.kill('SIGKILL'), SIGN_WITHIN_MS);
    return new Promise<Buffer>((resolve, reject) => {
      waiting.push({ resolve, reject });
      child.stdin!.write(formatRequest(request));
    }).finally(() => {
      clearTimeout(timer);
    });
  }

  private start(): NonNullable<TokenProcess['running']> {
    // In its own group, it outlives Ctrl-C as long as the service needs it. It ends when its input does.
    const child = spawn(process.execPath, [PROGRAM], { stdio: ['pipe', 'ignore', 'ignore', 'pipe'], detached: true });
    const running = { child, waiting: [] as Waiting[] };
    const forget = (): void => {
      if (this.running === running) this.running = undefined;
    };
    child.stdin!.on('error', () => undefined); // `close` follows
    createInterface({ input: child.stdio[3] as Socket }).on('line', (line) => {
      const { refusedPin, error } = JSON.parse(line) as TokenAnswer;
      if (refusedPin) this.refusal = `${error!}; restart the service after you have corrected that`;
      if (error !== undefined) forget();
      settle(running.waiting.shift(), line);
    });
    const end = (): void => {
      forget();
      for (const waiting of running.waiting.splice(0)) settle(waiting, undefined);
    };
    child.on('error', end).once('close', end);
    // It must not keep the service alive; the timer of a request does, while one waits.
    for (const handle of [child, child.stdin as Socket, child.stdio[3] as Socket]) handle.unref();
    return running;
  }
}

function settle(waiting: Waiting | undefined, line: string | undefined): void {
  try {
    waiting?.resolve(readAnswer(line));
  } catch (error) {
    waiting?.reject(error);
  }
}
