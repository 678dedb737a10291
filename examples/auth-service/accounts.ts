import { randomBytes, randomUUID, scrypt, timingSafeEqual } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { Refusal } from './refusal.ts';

export interface Account {
  /** Passkey Manager's `userId` of the user. It is never shown and never reused. */
  readonly id: string;
  readonly email: string;
  readonly name: string;
  readonly password: { readonly salt: string; readonly hash: string };
}

/** The scrypt cost that OWASP recommends: 128 MiB and about half a second for each guess. */
const SCRYPT = { N: 2 ** 17, r: 8, p: 1, maxmem: 2 ** 28 };

const MAX_DERIVING = 8;
let deriving = 0;

/** Keeps the users in one JSON file. */
export class Accounts {
  readonly #byEmail: Map<string, Account>;
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
    this.#byEmail = new Map(readAccounts(file).map((account) => [account.email, account]));
  }

  findById(id: string): Account | undefined {
    return [...this.#byEmail.values()].find((account) => account.id === id);
  }

  findByEmail(email: string): Account | undefined {
    return this.#byEmail.get(email);
  }

  /** @returns undefined if the address already has an account */
  async signUp(email: string, name: string, password: string): Promise<Account | undefined> {
    const salt = randomBytes(16);
    const hash = await deriveHash(password, salt);
    if (this.#byEmail.has(email)) return undefined;
    const account = {
      id: randomUUID(),
      email,
      name,
      password: { salt: salt.toString('base64'), hash: hash.toString('base64') },
    };
    this.#byEmail.set(email, account);
    this.#write();
    return account;
  }

  /** Takes the same time for an address without an account, so that the time does not reveal it. */
  async signIn(email: string, password: string): Promise<Account | undefined> {
    const account = this.#byEmail.get(email);
    const hash = await deriveHash(password, Buffer.from(account?.password.salt ?? '', 'base64'));
    return account && timingSafeEqual(hash, Buffer.from(account.password.hash, 'base64')) ? account : undefined;
  }

  #write(): void {
    const text = `${JSON.stringify([...this.#byEmail.values()], null, 2)}\n`;
    mkdirSync(dirname(this.#file), { recursive: true, mode: 0o700 });
    writeFileSync(`${this.#file}.new`, text, { mode: 0o600 });
    renameSync(`${this.#file}.new`, this.#file);
  }
}

function readAccounts(file: string): Account[] {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Account[];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** @throws Refusal if too many passwords are being checked, because each check occupies a processor and 128 MiB */
function deriveHash(password: string, salt: Buffer): Promise<Buffer> {
  if (deriving >= MAX_DERIVING) throw new Refusal(429, 'rate-limited', { retryAfterSeconds: 1 });
  deriving += 1;
  return new Promise((resolve, reject) => {
    scrypt(password.normalize('NFKC'), salt, 32, SCRYPT, (error, key) => {
      deriving -= 1;
      if (error) reject(error);
      else resolve(key);
    });
  });
}
