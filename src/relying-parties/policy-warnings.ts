import { isPublicSuffix, MAX_RELATED_NAMES, listRelatedNames, listUnusableOrigins } from './related-origins.js';
import { applyPurpose, pointToPurpose } from './purposes.js';
import type { RelyingPartyPolicy } from './relying-party-policy.js';
import type { RelyingPartyEntity } from './relying-party.entity.js';
import { listWeaker } from './setting-changes.js';
import type { Successor } from './successor.js';

/** An effect of a setting that its author may not want. The setting applies nevertheless. */
export interface PolicyWarning {
  /** JSON pointer into the settings. */
  readonly pointer: string;
  readonly detail: string;
}

interface Settings {
  readonly rpId: string;
  readonly origins: readonly string[];
  readonly policy: RelyingPartyPolicy;
  readonly successor: Successor | null;
}

/** What the settings alone do not tell. */
interface Surroundings {
  /** null: there is none, or its row fails its integrity check; undefined: nothing is to be told of it. */
  readonly successor?: Pick<RelyingPartyEntity, 'origins' | 'enabled'> | null | undefined;
  readonly hasEnded: boolean;
}

/** The number of descriptors that Firefox reads. (Chromium throws from the 65th on.) */
const FIREFOX_DESCRIPTORS = 20;

/** ES256 and RS256. Every authenticator in use makes keys of one of them. */
const COMMON_ALGORITHMS = [-7, -257];

/** Lists what browsers and authenticators will not do under these settings, and what to change. */
export function findWarnings(settings: Settings, surroundings: Surroundings): PolicyWarning[] {
  const { rpId, origins, policy } = settings;
  return [
    ...warnOfRpId(rpId),
    ...warnOfOrigins(rpId, origins),
    ...warnOfAttestation(policy),
    ...warnOfFormats(policy),
    ...warnOfAuthenticators(policy),
    ...warnOfOptions(policy),
    ...warnOfPurposes(policy),
    ...warnOfSuccessor(settings, surroundings),
  ];
}

/** Warns of what keeps users from moving to the successor, and from using their passkeys until they have. */
function warnOfSuccessor(
  { rpId, origins, successor }: Settings,
  { successor: next, hasEnded }: Surroundings,
): PolicyWarning[] {
  if (!successor) return [];
  const missing = (next?.origins ?? []).filter((origin) => !origins.includes(origin));
  const { rpId: name, endsAt, registrations } = successor;
  const details: [pointer: string, detail: string | false][] = [
    ['/successor/rpId', next === null && `nobody can register at ${name}: there is no such relying party; create it`],
    ['/successor/rpId', next?.enabled === false && `nobody can register at ${name}: it is switched off`],
    [
      '/origins',
      missing.length > 0 &&
        `pages of ${name} cannot use the passkeys of ${rpId}: list ${joinNames(missing)} here, and serve the document of ` +
          `related origins at https://${rpId}/.well-known/webauthn`,
    ],
    [
      '/successor/registrations',
      endsAt !== null &&
        registrations === 'accept' &&
        !hasEnded &&
        `passkeys that users register now stop working at ${endsAt}: have them register at ${name}, and set refuse`,
    ],
    ['/successor/endsAt', hasEnded && `every ceremony is refused: ${rpId} has ended at ${String(endsAt)}`],
  ];
  return details.flatMap(([pointer, detail]) => (detail === false ? [] : [{ pointer, detail }]));
}

function warnOfRpId(rpId: string): PolicyWarning[] {
  if (!isPublicSuffix(rpId)) return [];
  const detail =
    `no passkey can be registered or used: browsers refuse ${rpId}, a public suffix below which anyone may have a ` +
    'domain; use another relying party, named like a domain of yours';
  return [{ pointer: '/rpId', detail }];
}

function warnOfOrigins(rpId: string, origins: readonly string[]): PolicyWarning[] {
  const beyond = listRelatedNames(rpId, origins).slice(MAX_RELATED_NAMES);
  const strange = listUnusableOrigins(rpId, origins);
  const details = [
    beyond.length > 0 &&
      `browsers follow related origins under ${String(MAX_RELATED_NAMES)} names and ignore the rest: ` +
        `${joinNames(beyond)}; use fewer domains, or another relying party for them`,
    strange.length > 0 &&
      `no browser lets a page use the passkeys of ${rpId} at ${joinNames(strange)}: the host is not on that domain, and ` +
        'has no registered domain that could make it a related origin; remove it, or use another relying party',
  ];
  return details.filter((detail) => detail !== false).map((detail) => ({ pointer: '/origins', detail }));
}

const MAX_LISTED = 5;

function joinNames(names: readonly string[]): string {
  const more = names.length - MAX_LISTED;
  return `${names.slice(0, MAX_LISTED).join(', ')}${more > 0 ? ` and ${String(more)} more` : ''}`;
}

/**
 * Warns of settings that the conveyance `none` makes impossible, because the client then replaces the attestation
 * (WebAuthn L3 §5.1.3).
 */
function warnOfAttestation({ attestation, backup }: RelyingPartyPolicy): PolicyWarning[] {
  const { conveyance, trust, formats } = attestation;
  const warnings: PolicyWarning[] = [];
  const warn = (pointer: string, detail: string): void => {
    warnings.push({ pointer, detail });
  };
  const ask = 'ask for attestation by policy.attestation.conveyance: direct';
  if (conveyance === 'none') {
    if (trust === 'trusted')
      warn('/policy/attestation/conveyance', `no passkey can be registered: trust demands an attestation; ${ask}`);
    if (backup === 'device-bound')
      warn('/policy/backup', `no passkey can be registered: device-bound demands a trusted attestation; ${ask}`);
    if (!formats.includes('none'))
      warn(
        '/policy/attestation/formats',
        `no passkey can be registered: with the conveyance none every browser sends the format none; list it, or ${ask}`,
      );
    return warnings;
  }
  const proves = formats.some((format) => format !== 'none');
  if (!proves && (trust === 'trusted' || backup === 'device-bound'))
    warn('/policy/attestation/formats', 'no passkey can be registered: the format none proves nothing; list others');
  if (backup === 'synced' && trust === 'trusted')
    warn('/policy/backup', 'hardly any passkey can be registered: providers that sync give no attestation');
  return warnings;
}

/**
 * Warns of settings that make registration impossible when only one attestation format is left that can prove anything.
 */
function warnOfFormats(policy: RelyingPartyPolicy): PolicyWarning[] {
  const { attestation, backup, userVerification, residentKey, algorithms, allowSha1Tpm } = policy;
  const { conveyance, trust, formats } = attestation;
  const trusted = trust === 'trusted' || backup === 'device-bound';
  const [only, ...others] = formats.filter((format) => format !== 'none' || !trusted);
  if (conveyance === 'none' || others.length > 0) return [];
  if (only === 'tpm' && trusted && !allowSha1Tpm) {
    const detail =
      'hardly any passkey can be registered: tpm is the only format left, and Windows Hello signs it with SHA-1; ' +
      'set allowSha1Tpm: true, or list other formats';
    return [{ pointer: '/policy/allowSha1Tpm', detail }];
  }
  if (only !== 'fido-u2f') return [];
  const cannot = 'no passkey can be registered: fido-u2f is the only format left, and U2F security keys';
  const list = 'or list other formats';
  return [
    ...(userVerification === 'required'
      ? [{ pointer: '/policy/userVerification', detail: `${cannot} do not verify the user; demand less, ${list}` }]
      : []),
    ...(residentKey === 'required'
      ? [{ pointer: '/policy/residentKey', detail: `${cannot} keep no discoverable passkeys; demand less, ${list}` }]
      : []),
    ...(algorithms.includes(-7)
      ? []
      : [{ pointer: '/policy/algorithms', detail: `${cannot} make -7 (ES256) alone; list it, ${list}` }]),
    ...(backup === 'synced'
      ? [{ pointer: '/policy/backup', detail: `${cannot} are never backed up; allow any, ${list}` }]
      : []),
  ];
}

function warnOfAuthenticators({ authenticators, attestation }: RelyingPartyPolicy): PolicyWarning[] {
  const { allow, deny = [], unknown } = authenticators;
  const left = allow?.filter((aaguid) => !deny.includes(aaguid));
  if (left?.length === 0) {
    const detail = 'no passkey can be registered or used: no model is left that is allowed and not denied';
    return [{ pointer: '/policy/authenticators/allow', detail }];
  }
  if (attestation.conveyance !== 'none' || (!allow && unknown === 'allow')) return [];
  const detail =
    'browsers may hide the model of a security key when no attestation is asked for, and it then counts as unknown; ' +
    'ask for attestation by policy.attestation.conveyance: direct';
  return [{ pointer: `/policy/authenticators/${allow ? 'allow' : 'unknown'}`, detail }];
}

function warnOfOptions({ algorithms, maxCredentialsPerUser, crossOrigin }: RelyingPartyPolicy): PolicyWarning[] {
  const missing = COMMON_ALGORITHMS.filter((algorithm) => !algorithms.includes(algorithm));
  const warnings: PolicyWarning[] = [];
  if (missing.length === COMMON_ALGORITHMS.length) {
    const detail = 'hardly any authenticator makes a passkey without -7 (ES256) and -257 (RS256); list both';
    warnings.push({ pointer: '/policy/algorithms', detail });
  } else if (missing.length > 0) {
    const detail = `authenticators that make only ${missing[0] === -7 ? '-7 (ES256)' : '-257 (RS256), as some PCs do,'} cannot register; list it`;
    warnings.push({ pointer: '/policy/algorithms', detail });
  }
  if (maxCredentialsPerUser > FIREFOX_DESCRIPTORS) {
    const detail = `Firefox reads the first ${String(FIREFOX_DESCRIPTORS)} descriptors only; the passkeys used most recently come first`;
    warnings.push({ pointer: '/policy/maxCredentialsPerUser', detail });
  }
  if (!crossOrigin.allow && crossOrigin.topOrigins.length > 0) {
    const detail = 'the list has no effect while policy.crossOrigin.allow is false';
    warnings.push({ pointer: '/policy/crossOrigin/topOrigins', detail });
  }
  if (crossOrigin.allow && crossOrigin.topOrigins.length === 0) {
    const detail = 'an empty list lets every site frame the ceremony; list the top origins that may';
    warnings.push({ pointer: '/policy/crossOrigin/topOrigins', detail });
  }
  return warnings;
}

/** Warns of purposes that demand less than the policy, and of those whose demands no passkey can meet. */
function warnOfPurposes(policy: RelyingPartyPolicy): PolicyWarning[] {
  const alone = applyPurpose(policy, undefined);
  const findFlaws = (applied: RelyingPartyPolicy): string[] =>
    [...warnOfAttestation(applied), ...warnOfFormats(applied)].map(({ detail }) => detail);
  const known = findFlaws(policy);
  return Object.keys(policy.purposes).flatMap((name) => {
    const applied = applyPurpose(policy, name);
    const flaws = findFlaws(applied).filter((detail) => !known.includes(detail));
    return [
      ...listWeaker(alone, applied).map((member) => ({
        pointer: pointToPurpose(name, member),
        detail: `the purpose ${name} demands less than the policy alone, and every caller may ask for it`,
      })),
      ...flaws.map((detail) => ({ pointer: pointToPurpose(name), detail: `for the purpose ${name}, ${detail}` })),
    ];
  });
}
