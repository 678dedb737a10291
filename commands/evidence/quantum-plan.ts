import { classifyAlgorithm } from './crypto-algorithms.js';

/** An algorithm with what it is for. */
export interface AlgorithmUse {
  readonly algorithm: string;
  readonly what: string;
  readonly where: string;
  /** `yes`, `hybrid` or `no`. */
  readonly postQuantum: string;
}

interface Kind {
  readonly name: string;
  readonly has: (use: AlgorithmUse) => boolean;
  /** Tells the uses that already withstand a quantum computer and say something of this kind. */
  readonly isDone?: (use: AlgorithmUse) => boolean;
  readonly done: string;
  readonly undone: string;
  /** What the assessor asks for. */
  readonly question: string;
}

const isOfPasskeys = ({ what }: AlgorithmUse): boolean => what.startsWith('signatures of passkeys');
const isOffered = ({ what }: AlgorithmUse): boolean => what.endsWith('of the listener');
const isSignature = ({ algorithm }: AlgorithmUse): boolean => classifyAlgorithm(algorithm).primitive === 'signature';
const isAgreement = ({ algorithm }: AlgorithmUse): boolean =>
  ['key-agree', 'combiner', 'kem'].includes(classifyAlgorithm(algorithm).primitive);

/** The most urgent kind first: what is recorded today can be read later, but nobody can sign later what counted today. */
const KINDS: readonly Kind[] = [
  {
    name: 'Key agreement',
    has: isAgreement,
    done: 'in use already, with each caller that can',
    undone: 'nothing else is offered yet',
    question: 'Say until when callers need the others',
  },
  {
    name: 'Signatures in use now',
    has: (use) => isSignature(use) && !isOfPasskeys(use) && !isOffered(use),
    // The algorithms of the service are a list of its code. Only a key that is there signs.
    isDone: ({ what }) => what === 'key: signs the audit log',
    done: 'in use already, beside them in the audit log',
    undone: 'no key of another algorithm is there yet',
    question: 'Show the plan for the other keys and the certificates',
  },
  {
    name: 'Signatures of passkeys',
    has: isOfPasskeys,
    done: 'accepted already',
    undone: 'no other is accepted yet',
    question: 'Show the plan for the passkeys of users',
  },
  {
    name: 'Signatures that callers may use in the handshake',
    has: (use) => isSignature(use) && isOffered(use),
    done: 'accepted already',
    undone: 'no other is accepted yet',
    question: 'Show the plan for the certificates of callers',
  },
  {
    name: 'Other uses',
    has: (use) => !isSignature(use) && !isAgreement(use),
    isDone: () => false,
    done: '',
    undone: 'they are no signature and no key agreement',
    question: 'Show the plan to replace them',
  },
];

/** Says of each kind of algorithm which ones a quantum computer breaks, what is done already, and what is asked (PCI DSS 4.0.1 12.3.3). */
export function listQuantumQuestions(uses: readonly AlgorithmUse[]): string[] {
  return KINDS.flatMap(({ name, has, isDone = () => true, done, undone, question }) => {
    const ofKind = uses.filter(has);
    const listNames = (isWanted: (use: AlgorithmUse) => boolean): string =>
      [...new Set(ofKind.filter(isWanted).map(({ algorithm }) => algorithm))].sort().join(', ');
    const broken = listNames(({ postQuantum }) => postQuantum === 'no');
    if (broken === '') return [];
    const resistant = listNames((use) => use.postQuantum !== 'no' && isDone(use));
    const step = resistant === '' ? undone : `${done}: ${resistant}`;
    return [`${name}: a quantum computer breaks ${broken}; ${step}. ${question} (12.3.3).`];
  });
}
