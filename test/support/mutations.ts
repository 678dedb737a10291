import fc from 'fast-check';

/** An attacker's change of one member of an answer. Positions are fractions, so that they fit bytes of any length. */
export type Mutation =
  | { readonly kind: 'flip'; readonly at: number; readonly bit: number }
  | { readonly kind: 'truncate'; readonly to: number }
  | { readonly kind: 'append'; readonly bytes: Uint8Array }
  | { readonly kind: 'insert'; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: 'overwrite'; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: 'repeat'; readonly at: number; readonly length: number }
  | { readonly kind: 'drop'; readonly at: number; readonly length: number }
  | { readonly kind: 'swap' }
  | { readonly kind: 'replace'; readonly value: unknown };

export interface MutatedMember {
  /** The position of the member among all members, as a fraction. */
  readonly member: number;
  readonly mutation: Mutation;
}

/** Spreads fractions evenly. With fast-check's bias to the ends, nearly every mutation would hit the first member. */
const at = fc.noBias(fc.nat(999_999)).map((millionths) => millionths / 1_000_000);
const bytes = fc.uint8Array({ minLength: 1, maxLength: 16 });
const length = fc.integer({ min: 1, max: 64 });

/** CBOR heads that a reader may handle badly: indefinite lengths, huge lengths, tags, reserved values, deep nesting. */
const cborHeads = fc.constantFrom(
  Uint8Array.of(0x5f),
  Uint8Array.of(0x7f),
  Uint8Array.of(0x9f),
  Uint8Array.of(0xbf),
  Uint8Array.of(0xff),
  Uint8Array.of(0x5a, 0x7f, 0xff, 0xff, 0xff),
  Uint8Array.of(0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
  Uint8Array.of(0xc2, 0x41, 0x00),
  Uint8Array.of(0xf9, 0x7e, 0x00),
  Uint8Array.of(0xfc),
  new Uint8Array(2_000).fill(0x81),
);

const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.record({ kind: fc.constant('flip' as const), at, bit: fc.integer({ min: 0, max: 7 }) }),
  fc.record({ kind: fc.constant('truncate' as const), to: at }),
  fc.record({ kind: fc.constant('append' as const), bytes: fc.oneof(bytes, cborHeads) }),
  fc.record({ kind: fc.constant('insert' as const), at, bytes: fc.oneof(bytes, cborHeads) }),
  fc.record({ kind: fc.constant('overwrite' as const), at, bytes: fc.oneof(bytes, cborHeads) }),
  fc.record({ kind: fc.constant('repeat' as const), at, length }),
  fc.record({ kind: fc.constant('drop' as const), at, length }),
  fc.record({ kind: fc.constant('swap' as const) }),
  fc.record({
    kind: fc.constant('replace' as const),
    value: fc.oneof(
      fc.base64String({ maxLength: 64 }),
      fc.string({ maxLength: 16 }),
      fc.constantFrom('', 'AAAA', '____'),
    ),
  }),
);

/** Generates one to three mutations of an answer. */
export const mutations: fc.Arbitrary<MutatedMember[]> = fc.array(fc.record({ member: at, mutation }), {
  minLength: 1,
  maxLength: 3,
});

/** The members of an answer that a ceremony verifies, as paths into its JSON. */
const MEMBERS = [
  'id',
  'rawId',
  'clientDataJSON',
  'attestationObject',
  'authenticatorData',
  'signature',
  'browserBoundSignature',
];

type Answer = Record<string, unknown> & { response: Record<string, unknown> };

/**
 * @param other an honest answer of another ceremony, the source of swapped members
 * @returns the mutated answer, or undefined when the mutations leave every byte as it was
 */
export function mutate<A extends object>(answer: A, other: A, changes: readonly MutatedMember[]): A | undefined {
  const mutated = structuredClone(answer) as A & Answer;
  const signed = 'signature' in mutated.response ? MEMBERS : MEMBERS.slice(0, 4);
  for (const { member, mutation } of changes) {
    const present = signed.filter((name) => name in mutated || name in mutated.response);
    const name = present[Math.floor(member * present.length)]!;
    const holder = name in mutated.response ? mutated.response : mutated;
    const donor = name in mutated.response ? (other as Answer).response : (other as Answer);
    holder[name] = apply(String(holder[name]), String(donor[name]), mutation);
  }
  return sameMeaning(answer as A & Answer, mutated, signed) ? undefined : mutated;
}

function apply(encoded: string, foreign: string, mutation: Mutation): unknown {
  if (mutation.kind === 'swap') return foreign;
  if (mutation.kind === 'replace') return mutation.value;
  return changed(Buffer.from(encoded, 'base64url'), mutation).toString('base64url');
}

function changed(input: Buffer, mutation: Exclude<Mutation, { kind: 'swap' | 'replace' }>): Buffer {
  const position = 'at' in mutation ? Math.floor(mutation.at * input.length) : 0;
  const [before, after] = [input.subarray(0, position), input.subarray(position)];
  switch (mutation.kind) {
    case 'flip':
      return Buffer.concat([before, Buffer.of((after[0] ?? 0) ^ (1 << mutation.bit)), after.subarray(1)]);
    case 'truncate':
      return input.subarray(0, Math.floor(mutation.to * input.length));
    case 'append':
      return Buffer.concat([input, mutation.bytes]);
    case 'insert':
      return Buffer.concat([before, mutation.bytes, after]);
    case 'overwrite':
      return Buffer.concat([before, mutation.bytes, after.subarray(mutation.bytes.length)]);
    case 'repeat':
      return Buffer.concat([before, after.subarray(0, mutation.length), after]);
    case 'drop':
      return Buffer.concat([before, after.subarray(mutation.length)]);
  }
}

function sameMeaning(one: Answer, two: Answer, members: readonly string[]): boolean {
  return members.every((name) => (one[name] ?? one.response[name]) === (two[name] ?? two.response[name]));
}
