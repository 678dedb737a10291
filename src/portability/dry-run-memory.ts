import { hash } from 'node:crypto';
import { Problem } from '../http/problem.js';
import { COMPARED, type ComparedMember, type Known, readCompared } from './judge-line.js';
import type { CredentialLine } from './credential-line.js';

/** A longer file is tried in parts, because what its lines say stays in memory: about 100 bytes for each. */
const MOST_LINES = 2_000_000;

/**
 * What the lines of a dry run would have stored, so that a later line is judged as if they had. It holds hashes: 64 bits name a
 * credential, a user, a handle or an id, and 32 bits a member.
 */
export class DryRunMemory {
  private readonly credentials = new HashTable(COMPARED.length);
  /** The number of the user's passkeys that are not revoked. */
  private readonly users = new HashTable(1);
  /** The owner. */
  private readonly handles = new HashTable(1);
  private readonly ids = new HashTable(1);

  /** Adds what earlier lines say to what is stored. */
  complete(line: CredentialLine, known: Known): Known {
    if (known.credential) return known;
    const credential = this.credentials.find(name(line.credentialId));
    if (credential) {
      const isSame = (member: ComparedMember, value: string): boolean => {
        const held = credential[COMPARED.indexOf(member)]!;
        return held === 0 || held === shorten(value);
      };
      return { ...known, credential: { isSame } };
    }
    const owner = line.userHandle && this.handles.find(name(line.userHandle))?.[0];
    return {
      credential: undefined,
      handleIsTaken: known.handleIsTaken || (typeof owner === 'number' && owner !== shorten(line.userId)),
      idIsTaken: known.idIsTaken || (line.id !== null && this.ids.find(name(line.id)) !== undefined),
      held: known.held + (this.users.find(name(line.userId))?.[0] ?? 0),
    };
  }

  /** @throws Problem request-too-large */
  add(line: CredentialLine): void {
    if (this.credentials.size >= MOST_LINES) {
      const detail = `a dry run takes ${String(MOST_LINES)} passkeys; try the file in parts`;
      throw new Problem('request-too-large', { detail });
    }
    const members = COMPARED.map((member) => {
      const value = readCompared(line, member);
      return value === undefined ? 0 : shorten(value);
    });
    this.credentials.add(name(line.credentialId)).set(members);
    const held = this.users.add(name(line.userId));
    if (line.status !== 'revoked') held[0]! += 1;
    if (line.userHandle) this.handles.add(name(line.userHandle))[0] = shorten(line.userId);
    if (line.id !== null) this.ids.add(name(line.id));
  }
}

type Name = readonly [number, number];

function name(value: string | Buffer): Name {
  const digest = hash('sha256', value, 'buffer');
  // The first word of a place that is taken is never 0.
  return [(digest.readUInt32LE(0) | 1) >>> 0, digest.readUInt32LE(4)];
}

/** Never 0. */
function shorten(value: string): number {
  return (hash('sha256', value, 'buffer').readUInt32LE(8) | 1) >>> 0;
}

/** A table of numbers by 64-bit names (open addressing). A Map would take three times the memory. */
class HashTable {
  size = 0;
  private places;
  private words: Uint32Array<ArrayBuffer>;
  private readonly width;

  constructor(values: number) {
    this.width = values + 2;
    this.places = 1_024;
    this.words = new Uint32Array(this.places * this.width);
  }

  find(wanted: Name): Uint32Array | undefined {
    const at = this.locate(wanted);
    return this.words[at] === 0 ? undefined : this.valuesAt(at);
  }

  /** Finds or makes the values of a name: zeros, if it is new. */
  add(wanted: Name): Uint32Array {
    if (this.size * 4 >= this.places * 3) this.grow();
    const at = this.locate(wanted);
    if (this.words[at] === 0) {
      this.size += 1;
      this.words.set(wanted, at);
    }
    return this.valuesAt(at);
  }

  private valuesAt(at: number): Uint32Array {
    return this.words.subarray(at + 2, at + this.width);
  }

  private locate([first, second]: Name): number {
    for (let place = second % this.places; ; place = (place + 1) % this.places) {
      const at = place * this.width;
      if (this.words[at] === 0 || (this.words[at] === first && this.words[at + 1] === second)) return at;
    }
  }

  private grow(): void {
    const { words, width } = this;
    this.places *= 2;
    this.words = new Uint32Array(this.places * width);
    for (let at = 0; at < words.length; at += width) {
      if (words[at] === 0) continue;
      this.words.set(words.subarray(at, at + width), this.locate([words[at]!, words[at + 1]!]));
    }
  }
}
