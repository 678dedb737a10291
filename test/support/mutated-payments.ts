import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { Refusal } from '../../src/webauthn/refusal.js';
import type { AuthenticationResponseJSON } from '../../src/webauthn/verify-authentication.js';
import { verifyPayment } from '../../src/webauthn/verify-payment.js';
import { generateKey } from './authenticator/keys.js';
import { mutate, mutations } from './mutations.js';
import { observeOutcome, type Target } from './mutated-ceremonies.js';
import { answerPayment, PAYMENT, type PaymentVariation, withOutputs } from './pure-payments.js';

type Members = Record<string, unknown>;

/** A change of the client data before it is signed, as a page makes it that lets its user sign another payment. */
export type SignedChange =
  | { readonly kind: 'replace' | 'add'; readonly path: readonly string[]; readonly value: unknown }
  | { readonly kind: 'drop' | 'reverse'; readonly path: readonly string[] };

const { paymentEntitiesLogos: LOGOS, instrument: INSTRUMENT, total: TOTAL } = PAYMENT;
const LOGO_PATHS = [['0'], ['0', 'url'], ['0', 'label'], ['1'], ['2', 'url']];
const PATHS: readonly string[][] = [
  ...['type', 'challenge', 'origin', 'crossOrigin', 'topOrigin', 'payment'].map((name) => [name]),
  ...['rpId', 'rp', 'topOrigin', 'payeeName', 'payeeOrigin', 'total', 'instrument', 'paymentEntitiesLogos'].map(
    (name) => ['payment', name],
  ),
  ...['currency', 'value'].map((name) => ['payment', 'total', name]),
  ...['displayName', 'icon', 'iconMustBeShown', 'details'].map((name) => ['payment', 'instrument', name]),
  ...LOGO_PATHS.map((path) => ['payment', 'paymentEntitiesLogos', ...path]),
];

/** Values that are nearly right, and any JSON. */
const values = fc.oneof(
  fc.constantFrom(...Object.values(TOTAL), ...Object.values(INSTRUMENT), ...LOGOS, TOTAL, INSTRUMENT, LOGOS, PAYMENT),
  fc.constantFrom('', null, true, false, 'bank.example', 'https://shop.example', 'webauthn.get', 'payment.get', 12.5),
  fc.array(fc.constantFrom(...LOGOS, ...LOGOS.map(({ label }) => ({ url: '', label }))), { maxLength: 4 }),
  fc.jsonValue({ maxDepth: 2 }),
);
const path = fc.constantFrom(...PATHS);
const names = fc.oneof(fc.constantFrom('__proto__', 'constructor', 'toString', 'Total', 'rpID'), fc.string());

export const signedChange: fc.Arbitrary<SignedChange> = fc.oneof(
  fc.record({ kind: fc.constant('replace' as const), path, value: values }),
  fc.record({ kind: fc.constant('drop' as const), path }),
  fc.record({ kind: fc.constant('reverse' as const), path: fc.oneof(path, fc.constant([])) }),
  fc
    .tuple(path, names, values)
    .map(([beside, name, value]) => ({ kind: 'add' as const, path: [...beside.slice(0, -1), name], value })),
);

/** Applies a change where the path leads to, if it leads anywhere. */
export function applyChange(clientData: Members, change: SignedChange): Members {
  const root: { holder: unknown } = { holder: clientData };
  const [holder, name] = change.path.reduce<[unknown, string]>(
    ([parent, key], next) => [isHolder(parent) && Object.hasOwn(parent, key) ? parent[key] : undefined, next],
    [root, 'holder'],
  );
  if (!isHolder(holder)) return clientData;
  switch (change.kind) {
    case 'drop':
      Reflect.deleteProperty(holder, name);
      break;
    case 'reverse':
      reverse(holder[name]);
      break;
    case 'add':
      if (!Object.hasOwn(holder, name)) define(holder, name, change.value);
      break;
    case 'replace':
      define(holder, name, change.value);
  }
  return clientData;
}

function reverse(value: unknown): void {
  if (!isHolder(value)) return;
  if (Array.isArray(value)) return void value.reverse();
  const members = Object.entries(value).reverse();
  for (const [name] of members) Reflect.deleteProperty(value, name);
  for (const [name, member] of members) define(value, name, member);
}

/** Sets a member to a copy, even `__proto__`. */
function define(holder: Members, name: string, value: unknown): void {
  Object.defineProperty(holder, name, {
    value: structuredClone(value),
    enumerable: true,
    writable: true,
    configurable: true,
  });
}

const parse = (json: string): Members => JSON.parse(json) as Members;
const isHolder = (value: unknown): value is Members => typeof value === 'object' && value !== null;
const pick = (value: unknown, members: readonly string[]): unknown =>
  isHolder(value) && !Array.isArray(value)
    ? Object.fromEntries(members.map((name) => [name, Object.hasOwn(value, name) ? value[name] : undefined]))
    : value;

/** Every list of logos that a browser may show, of those that were sent. */
const SHOWABLE_LOGOS = LOGOS.reduce<{ url: string; label: string }[][]>(
  (lists, logo) => lists.flatMap((list) => [list, [...list, logo], [...list, { ...logo, url: '' }]]),
  [[]],
);

/** What the client data says, without what a verifier must ignore. It knows nothing of the code under test. */
export function readMeaning(clientData: Members): unknown {
  const { crossOrigin, topOrigin, ...members } = pick(clientData, [
    'type',
    'challenge',
    'origin',
    'crossOrigin',
    'topOrigin',
    'payment',
  ]) as Members;
  const payment = pick(members['payment'], [
    'rpId',
    'rp',
    'topOrigin',
    'payeeName',
    'payeeOrigin',
    'total',
    'instrument',
    'paymentEntitiesLogos',
  ]);
  const framed = { ...members, crossOrigin: crossOrigin ?? false, topOrigin: topOrigin ?? undefined, payment };
  if (!isHolder(payment) || Array.isArray(payment)) return framed;
  payment['total'] = pick(payment['total'], ['currency', 'value']);
  payment['instrument'] = pick(payment['instrument'], ['displayName', 'icon', 'iconMustBeShown', 'details']);
  const { instrument, paymentEntitiesLogos: logos = [] } = payment;
  if (isHolder(instrument) && instrument['iconMustBeShown'] === true) instrument['iconMustBeShown'] = undefined;
  if (payment['rp'] === payment['rpId']) payment['rp'] = undefined;
  const shown: unknown = Array.isArray(logos) ? logos.map((logo) => pick(logo, ['url', 'label'])) : logos;
  payment['paymentEntitiesLogos'] = SHOWABLE_LOGOS.some((list) => isDeepStrictEqual(list, shown)) ? 'allowed' : shown;
  return framed;
}

/** The passkey and the browser sign what the page made of the payment. */
export function signChanged(
  changes: readonly SignedChange[],
  variation: PaymentVariation = {},
): ReturnType<typeof answerPayment> & { means: 'the same' | 'something else' } {
  let means: 'the same' | 'something else' = 'the same';
  const clientDataJson = (honest: string): string => {
    const changed = changes.reduce<Members>(applyChange, parse(honest));
    // Undefined members and numbers such as -0 become what JSON can say.
    const text = JSON.stringify(changed);
    const [before, after] = [honest, text].map((json) => readMeaning(parse(json)));
    if (!isDeepStrictEqual(before, after)) means = 'something else';
    return text;
  };
  const answered = answerPayment({ ...variation, interference: { clientDataJson } });
  return { ...answered, means };
}

/** Lets the user sign a changed payment. One that means the same must be accepted, any other refused. */
function createSignedTarget(): Target {
  const browserKey = generateKey('ES256');
  const outcomeOf = async (changes: readonly SignedChange[]) => {
    const { answer, expected, means } = signChanged(changes, { browserKey });
    const outcome = await observeOutcome(() => verifyPayment(answer, expected));
    if (means === 'something else') return outcome;
    return outcome === 'ACCEPTED' ? 'unchanged' : 'FAILED';
  };
  return {
    name: 'payment, changed before it is signed',
    honest: async () => ((await outcomeOf([])) === 'unchanged' ? 'ACCEPTED' : 'FAILED'),
    attacks: fc
      .array(signedChange, { minLength: 1, maxLength: 3 })
      .map((changes) => ({ changes, run: () => outcomeOf(changes) })),
  };
}

/** Moves the browser's signature among the members that mutations know, and back. */
type Flat = Omit<AuthenticationResponseJSON, 'response'> & { response: Record<string, unknown> };
type Outputs = { payment?: { browserBoundSignature: { signature: string } } };

function flatten({ response, clientExtensionResults, ...answer }: AuthenticationResponseJSON): Flat {
  const bound = (clientExtensionResults as Outputs).payment?.browserBoundSignature.signature;
  return {
    ...answer,
    clientExtensionResults,
    response: { ...response, ...(bound !== undefined && { browserBoundSignature: bound }) },
  };
}

function unflatten({ response: { browserBoundSignature: signature, ...response }, ...answer }: Flat) {
  const restored = { ...answer, response } as unknown as AuthenticationResponseJSON;
  return signature === undefined
    ? restored
    : withOutputs(restored, { payment: { browserBoundSignature: { signature } } });
}

/** Changes the bytes of an answer after everything is signed. */
function createAlteredTarget(name: string, variation: PaymentVariation): Target {
  const { answer, expected } = answerPayment(variation);
  const [honest, other] = [flatten(answer), flatten(answerPayment(variation).answer)];
  return {
    name: `payment, ${name}`,
    honest: () => observeOutcome(() => verifyPayment(unflatten(honest), expected)),
    attacks: mutations.map((changes) => ({
      changes,
      run: async () => {
        const mutated = mutate(honest, other, changes);
        return mutated ? observeOutcome(() => verifyPayment(unflatten(mutated), expected)) : 'unchanged';
      },
    })),
  };
}

export const createPaymentTargets = (): Target[] => [
  createAlteredTarget('ES256', {}),
  createAlteredTarget('with a browser-bound key', { browserKey: generateKey('ES256') }),
  createSignedTarget(),
];

/** The reason and the member that a refusal of one change names. */
export function explainRefusal(change: SignedChange): { reason: string; member?: string } {
  const { answer, expected } = signChanged([change]);
  try {
    verifyPayment(answer, expected);
    return { reason: 'ACCEPTED' };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { reason: error.reason, ...(error.member && { member: error.member }) };
  }
}
