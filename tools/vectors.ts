/**
 * `npm run vectors -- FILE [--root PEM_FILE]… [--time RFC3339] [--except NAME]…` verifies recorded ceremonies by the
 * service's own pure functions. It compares each outcome with the expectation in FILE, a JSON list of `VectorCase`. It allows
 * every algorithm and format, and a cross-origin ceremony where the case is one. Certificates must be valid at `--time`.
 * `--except` names a case with a known other outcome. Any further difference gives exit code 1. `tools/vectors.sample.json` is
 * such a file; `--help` describes its members.
 */
import { readFileSync } from 'node:fs';
import type { AuthenticationResponseJSON, RegistrationResponseJSON } from '@simplewebauthn/server';
import { EXIT, type Program, readArguments, reportUsage } from '../commands/command-line.js';
import { COSE_ALGORITHMS } from '../src/webauthn/cose.js';
import { ATTESTATION_FORMATS } from '../src/webauthn/attestation-statement.js';
import { Refusal } from '../src/webauthn/refusal.js';
import { verifyAuthentication } from '../src/webauthn/verify-authentication.js';
import { verifyRegistration } from '../src/webauthn/verify-registration.js';
import { WELL_KNOWN_ROOTS } from '../src/webauthn/well-known-roots.js';
import { findPemBlocks } from '../src/x509/pem.js';

/** A recorded ceremony; `--help` says what each member means. */
interface VectorCase {
  readonly name: string;
  readonly kind: 'registration' | 'authentication';
  readonly rpId: string;
  readonly origin: string;
  readonly challenge_b64url: string;
  readonly expectedUserVerification?: string;
  /** `ok`; any other value expects a refusal. */
  readonly expect: string;
  /** With `policy`, both outcomes are right. */
  readonly tier?: string;
  readonly requires?: readonly string[];
  readonly crossOrigin?: boolean;
  readonly topOrigin?: string;
  readonly flags?: { readonly be: boolean };
  /** For an authentication: the case that made the credential, and its key. */
  readonly registration?: string;
  readonly credentialPublicKey_b64url?: string;
  readonly response: unknown;
}

interface Outcome {
  readonly verified: boolean;
  readonly told: string;
}

const bytes = (text: string): Buffer => Buffer.from(text, 'base64url');

const PROGRAM = {
  command: 'npm run vectors --',
  usage: ['FILE [--root PEM_FILE]… [--time RFC3339] [--except NAME]…'],
  about:
    'Verifies recorded ceremonies with the pure functions of the service, and compares each outcome with the expectation in FILE.',
  operands: {
    FILE: 'A JSON list of recorded ceremonies, each an object with the members below. tools/vectors.sample.json is one.',
  },
  members: {
    name: 'Names the case.',
    kind: '"registration" or "authentication".',
    'rpId, origin': 'The relying party and its one origin.',
    challenge_b64url: 'The challenge that was issued.',
    expectedUserVerification: '"required", or another word; optional.',
    'crossOrigin, topOrigin': 'True allows a cross-origin ceremony, below this origin; optional.',
    response: 'What the browser answered: RegistrationResponseJSON or AuthenticationResponseJSON.',
    expect: '"ok", or any other word for a refusal.',
    'tier, requires': 'With "policy" either outcome is right; what the case needs, as a list of sentences. Optional.',
    registration: 'For an authentication: the name of the case that made the passkey, in the same file; optional.',
    credentialPublicKey_b64url: 'For an authentication: the COSE key of the passkey.',
    flags: 'For a registration: an object; "be" tells if the passkey may be backed up. Optional.',
  },
  options: {
    root: {
      value: 'PEM_FILE',
      text: 'Certificates of further attestation roots; repeat it for more files.',
      multiple: true,
    },
    time: { value: 'RFC3339', text: 'The time at which certificates must be valid; now without it.' },
    except: { value: 'NAME', text: 'A case with a known other outcome; repeat it for more cases.', multiple: true },
  },
  examples: ['tools/vectors.sample.json', 'vectors.json --root roots.pem --time 2026-01-01T00:00:00Z'],
  exitCodes: {
    [EXIT.done]: 'Every outcome is as expected.',
    [EXIT.failed]: 'An outcome differs.',
    [EXIT.couldNotRun]: 'The arguments are wrong.',
  },
} as const satisfies Program;

const { values, operands } = readArguments(PROGRAM);
const now = new Date(values.time ?? Date.now());
const [file] = operands;
if (file === undefined || Number.isNaN(now.getTime())) {
  reportUsage(PROGRAM, file === undefined ? 'Give one FILE.' : '--time is not a time.');
  process.exit(EXIT.couldNotRun);
}
const cases = JSON.parse(readFileSync(file, 'utf8')) as VectorCase[];
const roots = values.root.flatMap((path) => findPemBlocks(readFileSync(path, 'latin1'), 'CERTIFICATE'));

/** Returns the expectations of both ceremonies. */
const expectationOf = (vector: VectorCase) => ({
  rpId: vector.rpId,
  origins: [vector.origin],
  challenge: bytes(vector.challenge_b64url),
  crossOrigin: { allow: vector.crossOrigin === true, topOrigins: vector.topOrigin ? [vector.topOrigin] : [] },
  requireUserVerification: vector.expectedUserVerification === 'required',
});

function register(vector: VectorCase): string {
  const { attestation } = verifyRegistration(vector.response as RegistrationResponseJSON, {
    ...expectationOf(vector),
    conditional: false,
    algorithms: COSE_ALGORITHMS,
    formats: ATTESTATION_FORMATS,
    now,
    roots: (format) => [...(WELL_KNOWN_ROOTS[format] ?? []), ...roots],
    allowSha1Tpm: false,
  });
  const { format, trust, root, distrust } = attestation;
  return `${format}, ${trust}: ${root ?? distrust?.detail ?? ''}`;
}

function authenticate(vector: VectorCase): string {
  const registered = cases.find(({ name }) => name === vector.registration) ?? vector;
  const credential = {
    credentialId: bytes((registered.response as AuthenticationResponseJSON).id),
    publicKey: bytes(vector.credentialPublicKey_b64url ?? ''),
    backupEligible: registered.flags?.be ?? false,
  };
  const response = vector.response as AuthenticationResponseJSON;
  const { userVerified } = verifyAuthentication(response, {
    ...expectationOf(vector),
    credential,
    allowBackupGrowth: false,
  });
  return userVerified ? 'user verified' : 'user present';
}

/** Runs a case. Any error but a Refusal is a defect and ends the run. */
function outcomeOf(vector: VectorCase): Outcome {
  try {
    return { verified: true, told: vector.kind === 'registration' ? register(vector) : authenticate(vector) };
  } catch (error) {
    if (error instanceof Refusal) return { verified: false, told: error.message };
    throw error;
  }
}

function judge(vector: VectorCase, { verified }: Outcome): 'as expected' | 'policy' | 'excepted' | 'MISMATCH' {
  const excepted = values.except.includes(vector.name);
  if (verified === (vector.expect === 'ok')) return excepted ? 'MISMATCH' : 'as expected';
  if (excepted) return 'excepted';
  return vector.tier === 'policy' ? 'policy' : 'MISMATCH';
}

const counts = new Map<string, number>();
for (const vector of cases) {
  const outcome = outcomeOf(vector);
  const judgement = judge(vector, outcome);
  counts.set(judgement, (counts.get(judgement) ?? 0) + 1);
  const got = outcome.verified ? 'ok' : 'refused';
  const requires = judgement === 'as expected' ? '' : ` [requires: ${vector.requires?.join('; ') ?? ''}]`;
  console.log(`${judgement}: ${vector.name}: expected ${vector.expect}, got ${got} (${outcome.told})${requires}`);
}
console.log(
  `${String(cases.length)} cases: ${[...counts].map(([what, count]) => `${String(count)} ${what}`).join(', ')}`,
);
process.exitCode = counts.has('MISMATCH') ? 1 : 0;
