import { fromBER, Constructed, Integer, OctetString, Sequence, Set as AsnSet, type AsnType } from 'asn1js';

/** The fields of Android's key attestation extension that WebAuthn L3 §8.4 names. */
export interface KeyDescription {
  readonly attestationSecurityLevel: number;
  readonly keymasterSecurityLevel: number;
  readonly attestationChallenge: Buffer;
  readonly softwareEnforced: AuthorizationList;
  readonly hardwareEnforced: AuthorizationList;
}

export interface AuthorizationList {
  /** Numbers of Android's Keymaster; undefined if the list does not have the field. */
  readonly purpose: readonly number[] | undefined;
  readonly allApplications: boolean;
  readonly origin: number | undefined;
}

export const ID_KEY_DESCRIPTION = '1.3.6.1.4.1.11129.2.1.17';

const CONTEXT_SPECIFIC = 3;
const TAGS = { purpose: 1, allApplications: 600, origin: 702 } as const;

/**
 * Reads only the fields that §8.4 names, because Android adds fields with each version. It skips everything after the
 * two lists, and all other fields in them, at any depth. A field that §8.4 names may appear at most once.
 *
 * @throws Error when such a field cannot be read
 */
export function readKeyDescription(der: Buffer): KeyDescription {
  if (der.length === 0) throw new Error('it is empty');
  const { offset, result } = fromBER(der);
  if (offset < 0) throw new Error('it is cut short, or not DER');
  if (offset !== der.length) throw new Error('bytes are left over');
  const fields = getChildren(result, Sequence);
  const [, attestationLevel, , keymasterLevel, challenge, , software, hardware] = fields;
  if (!(challenge instanceof OctetString)) throw new Error('the challenge is not an OCTET STRING');
  return {
    attestationSecurityLevel: readInteger(attestationLevel),
    keymasterSecurityLevel: readInteger(keymasterLevel),
    attestationChallenge: Buffer.from(challenge.getValue()),
    softwareEnforced: readList(software),
    hardwareEnforced: readList(hardware),
  };
}

function readList(element: AsnType | undefined): AuthorizationList {
  const entries = getChildren(element, Sequence);
  const findOnce = (tag: number): AsnType | undefined => {
    const [found, ...more] = entries.filter(
      ({ idBlock }) => idBlock.tagClass === CONTEXT_SPECIFIC && idBlock.tagNumber === tag,
    );
    if (more.length > 0) throw new Error(`the tag ${String(tag)} appears twice`);
    return found && getOnlyChild(found);
  };
  const [purpose, origin] = [findOnce(TAGS.purpose), findOnce(TAGS.origin)];
  return {
    purpose: purpose && getChildren(purpose, AsnSet).map(readInteger),
    allApplications: findOnce(TAGS.allApplications) !== undefined,
    origin: origin && readInteger(origin),
  };
}

/** The one element inside an explicit tag. */
function getOnlyChild(element: AsnType): AsnType {
  const [child, ...more] = getChildren(element, Constructed);
  if (!child || more.length > 0)
    throw new Error('an explicit tag of the key description does not hold exactly one element');
  return child;
}

function getChildren(element: AsnType | undefined, kind: typeof Constructed): AsnType[] {
  if (!(element instanceof kind)) throw new Error('an element of the key description has the wrong type');
  return element.valueBlock.value;
}

/** Reads an INTEGER or an ENUMERATED. */
function readInteger(element: AsnType | undefined): number {
  if (!(element instanceof Integer)) throw new Error('an element is not an integer');
  return Number(element.toBigInt());
}
