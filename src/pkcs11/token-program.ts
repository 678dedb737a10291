import { readFileSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import type { TokenUri } from './token-uri.js';

/*
 * The program that loads the library of a token. token.ts runs it, because that library is foreign native code: it may crash,
 * hang or block, and then this program does, and not the service. It reads a request from each line of its standard input,
 * and answers each with a line on file descriptor 3, because a library may print what it likes. It ends with its input, and after
 * an error: the next one begins with a new session.
 *
 * It imports only types of its neighbours, and has only types that can be erased, so that Node runs it from the source, too.
 */

/** One operation with a key. */
export interface TokenRequest {
  readonly uri: TokenUri;
  /** The raw public key of an Ed25519 key pair, an Ed25519 signature, or HMAC-SHA-256 by a secret key. */
  readonly operation: 'public-key' | 'sign' | 'mac';
  /** Base64: what to sign. */
  readonly data: string;
}

/** Exactly one member is set. */
export interface TokenAnswer {
  /** Base64. */
  readonly result?: string;
  /** A sentence for operators. */
  readonly error?: string;
  /** True if the token refused the PIN. A token that refuses a few locks itself. */
  readonly refusedPin?: boolean;
}

type Handle = Buffer;

interface Attribute {
  readonly type: number;
  readonly value?: Buffer | number | string;
}

/** The part of pkcs11js that we use. The package is optional, so the compiler may lack its types. */
interface Module {
  load(path: string): void;
  C_Initialize(): void;
  C_Finalize(): void;
  C_GetSlotList(withToken: boolean): Handle[];
  C_GetTokenInfo(slot: Handle): { readonly label: string; readonly serialNumber: string; readonly flags: number };
  C_OpenSession(slot: Handle, flags: number): Handle;
  C_Login(session: Handle, user: number, pin: string): void;
  C_FindObjectsInit(session: Handle, template: Attribute[]): void;
  C_FindObjects(session: Handle, most: number): Handle[];
  C_FindObjectsFinal(session: Handle): void;
  C_GetAttributeValue(session: Handle, object: Handle, template: Attribute[]): { readonly value: Buffer }[];
  C_SignInit(session: Handle, mechanism: { readonly mechanism: number }, key: Handle): void;
  C_Sign(session: Handle, data: Buffer, output: Buffer): Buffer;
}

/** OASIS PKCS#11 3.0, pkcs11t.h. */
const CK = {
  CKF_SERIAL_SESSION: 0x4,
  CKU_USER: 1,
  CKF_USER_PIN_FINAL_TRY: 0x20000,
  CKF_USER_PIN_LOCKED: 0x40000,
  CKO_PUBLIC_KEY: 2,
  CKO_PRIVATE_KEY: 3,
  CKO_SECRET_KEY: 4,
  CKA_CLASS: 0x0,
  CKA_LABEL: 0x3,
  CKA_ID: 0x102,
  CKA_KEY_TYPE: 0x100,
  CKA_SENSITIVE: 0x103,
  CKA_EXTRACTABLE: 0x162,
  CKA_EC_POINT: 0x181,
  CKK_EC_EDWARDS: 0x40,
  CKM_EDDSA: 0x1057,
  CKM_SHA256_HMAC: 0x251,
} as const;

/** CKR_PIN_INCORRECT, CKR_PIN_INVALID, CKR_PIN_LEN_RANGE, CKR_PIN_EXPIRED, CKR_PIN_LOCKED. */
const REFUSED_PIN = /^CKR_PIN_/;
/** The names of what requests ask for, in sentences. */
const CLASS_NAMES: Readonly<Record<number, string>> = {
  [CK.CKO_PUBLIC_KEY]: 'public key',
  [CK.CKO_PRIVATE_KEY]: 'private key',
  [CK.CKO_SECRET_KEY]: 'secret key',
};

class Refusal extends Error {
  readonly refusedPin: boolean;

  constructor(message: string, refusedPin = false) {
    super(message);
    this.refusedPin = refusedPin;
  }
}

function loadModule(path: string): Module {
  const load = createRequire(import.meta.url);
  let module: Module;
  try {
    const { PKCS11 } = load('pkcs11js') as { PKCS11: new () => Module };
    module = new PKCS11();
  } catch {
    throw new Refusal(
      'the optional dependency pkcs11js is not installed: npm ci needs a C++ compiler and Python for it',
    );
  }
  try {
    module.load(path);
  } catch {
    throw new Refusal(`the PKCS#11 module ${path} cannot be loaded`);
  }
  module.C_Initialize();
  return module;
}

/** A session with a token whose user is logged in. */
class Session {
  private readonly module: Module;
  private readonly uri: TokenUri;
  private readonly session: Handle;

  constructor(module: Module, uri: TokenUri) {
    this.module = module;
    this.uri = uri;
    const slot = this.findSlot();
    this.session = module.C_OpenSession(slot, CK.CKF_SERIAL_SESSION);
    this.login(module.C_GetTokenInfo(slot).flags);
  }

  private findSlot(): Handle {
    const { token, serial } = this.uri;
    const [slot, another] = this.module.C_GetSlotList(true).filter((candidate) => {
      const info = this.module.C_GetTokenInfo(candidate);
      return trim(info.label) === token && (serial === undefined || trim(info.serialNumber) === serial);
    });
    if (!slot)
      throw new Refusal(`no token has the label "${token}"${serial ? ` and the serial number ${serial}` : ''}`);
    if (another) throw new Refusal(`two tokens have the label "${token}": name the serial number, too`);
    return slot;
  }

  /** Never uses the last try: a start that fails is tried again, and would lock the token for everybody. */
  private login(flags: number): void {
    const { pinFile, token } = this.uri;
    const pin = readPin(pinFile);
    if (flags & CK.CKF_USER_PIN_LOCKED) throw new Refusal(`the token "${token}" has locked its PIN`, true);
    if (flags & CK.CKF_USER_PIN_FINAL_TRY) {
      throw new Refusal(`the token "${token}" allows one more PIN: log in by hand once, with the right one`, true);
    }
    try {
      this.module.C_Login(this.session, CK.CKU_USER, pin);
    } catch (error) {
      const { message } = error as Error;
      if (!REFUSED_PIN.test(message)) throw error;
      throw new Refusal(`the token "${token}" refuses the PIN in ${pinFile} (${message})`, true);
    }
  }

  run({ operation, data }: TokenRequest): Buffer {
    if (operation === 'mac') return this.sign(this.findKey(CK.CKO_SECRET_KEY), CK.CKM_SHA256_HMAC, data);
    const key = this.findKey(CK.CKO_PRIVATE_KEY);
    if (readNumber(this.readAttribute(key, CK.CKA_KEY_TYPE)) !== CK.CKK_EC_EDWARDS) {
      throw new Refusal(`${this.describe(CK.CKO_PRIVATE_KEY)} is not an Ed25519 key`);
    }
    return operation === 'sign' ? this.sign(key, CK.CKM_EDDSA, data) : this.readPublicKey(key);
  }

  /** Finds a key that cannot leave the token. */
  private findKey(type: number): Handle {
    const { object, id } = this.uri;
    const key = this.findOne(type, [
      ...(object === undefined ? [] : [{ type: CK.CKA_LABEL, value: object }]),
      ...(id === undefined ? [] : [{ type: CK.CKA_ID, value: Buffer.from(id, 'hex') }]),
    ]);
    const [sensitive, extractable] = [CK.CKA_SENSITIVE, CK.CKA_EXTRACTABLE].map(
      (attribute) => readNumber(this.readAttribute(key, attribute)) !== 0,
    );
    if (sensitive && !extractable) return key;
    throw new Refusal(`${this.describe(type)} can leave the token: it must be sensitive and not extractable`);
  }

  private findOne(type: number, template: readonly Attribute[]): Handle {
    this.module.C_FindObjectsInit(this.session, [{ type: CK.CKA_CLASS, value: type }, ...template]);
    const [found, another] = this.module.C_FindObjects(this.session, 2);
    this.module.C_FindObjectsFinal(this.session);
    if (!found) throw new Refusal(`${this.describe(type)} is not there`);
    if (another) throw new Refusal(`${this.describe(type)} is there twice: name the id, too`);
    return found;
  }

  private describe(type: number): string {
    const { token, object, id } = this.uri;
    return `the ${CLASS_NAMES[type]!} ${object === undefined ? `with the id ${id!}` : `"${object}"`} of the token "${token}"`;
  }

  /** A DER OCTET STRING (PKCS#11 2.40), or the 32 bytes alone (3.0). */
  private readPublicKey(privateKey: Handle): Buffer {
    const id = this.readAttribute(privateKey, CK.CKA_ID);
    const point = this.readAttribute(
      this.findOne(CK.CKO_PUBLIC_KEY, [{ type: CK.CKA_ID, value: id }]),
      CK.CKA_EC_POINT,
    );
    return point.subarray(-32);
  }

  private sign(key: Handle, mechanism: number, data: string): Buffer {
    this.module.C_SignInit(this.session, { mechanism }, key);
    return this.module.C_Sign(this.session, Buffer.from(data, 'base64'), Buffer.alloc(64));
  }

  private readAttribute(object: Handle, type: number): Buffer {
    return this.module.C_GetAttributeValue(this.session, object, [{ type }])[0]!.value;
  }
}

/** PKCS#11 pads the texts of a token with spaces. */
function trim(text: string): string {
  return text.replace(/[ \0]+$/, '');
}

/** A CK_ULONG or a CK_BBOOL of this machine. Its values here are below 256. */
function readNumber(value: Buffer): number {
  return value.readUInt8(0);
}

function readPin(path: string): string {
  try {
    return readFileSync(path, 'utf8').replace(/\r?\n$/, '');
  } catch {
    throw new Refusal(`the file of the PIN, ${path}, cannot be read`);
  }
}

let module: Module | undefined;
let session: Session | undefined;

function answer(line: string): TokenAnswer {
  try {
    const request = JSON.parse(line) as TokenRequest;
    module ??= loadModule(request.uri.module);
    session ??= new Session(module, request.uri);
    return { result: session.run(request).toString('base64') };
  } catch (error) {
    const { message, method } = error as Error & { readonly method?: string };
    if (error instanceof Refusal) return { error: message, refusedPin: error.refusedPin };
    return { error: `the token answers ${message}${method ? ` to ${method}` : ''}` };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const answered = answer(line);
  writeSync(3, `${JSON.stringify(answered)}\n`);
  if (answered.error !== undefined) process.exit(1);
}
module?.C_Finalize();
