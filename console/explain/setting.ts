/*
 * What the form of a relying party knows about each setting. console/explain/policy-settings.ts begins with those of the policy,
 * console/explain/party-settings.ts has all. A spec holds both against the contract, so that none is missing.
 */

/** One value that a setting can have. */
export interface Choice {
  readonly value: string | boolean | number;
  readonly label: string;
  /** What it does. */
  readonly does: string;
  /** Who can no longer do what, or what becomes weaker. */
  readonly breaks?: string;
}

export interface Setting {
  /** JSON pointer into the settings of a relying party. */
  readonly pointer: string;
  readonly title: string;
  /** The question that it answers, in plain words. */
  readonly does: string;
  /** What goes wrong with a careless value; each choice may say more. */
  readonly breaks?: string;
  /** What it applies to: ceremonies from now on, or also the passkeys that exist. */
  readonly appliesTo: 'registrations' | 'sign-ins' | 'both' | 'nothing';
  /** `null`: the member is absent. */
  readonly standard: unknown;
  readonly form: SettingForm;
}

export type SettingForm =
  | { readonly kind: 'choice'; readonly choices: readonly Choice[] }
  | { readonly kind: 'number'; readonly minimum: number; readonly maximum: number; readonly unit: string }
  /** Several of the choices, in an order that counts if `ordered` is true. */
  | { readonly kind: 'choices'; readonly choices: readonly Choice[]; readonly ordered: boolean }
  /** Texts, one a line. `optional`: an absent list means something else than an empty one. */
  | { readonly kind: 'lines'; readonly of: 'origin' | 'aaguid'; readonly maximum: number; readonly optional: boolean }
  | { readonly kind: 'text'; readonly maximum: number }
  | { readonly kind: 'domain' }
  | { readonly kind: 'time' }
  | { readonly kind: 'purposes' };

export const APPLIES: Readonly<Record<Setting['appliesTo'], string>> = {
  registrations: 'Counts for new passkeys only. Passkeys that exist go on.',
  'sign-ins': 'Counts for passkeys that exist, from their next use on.',
  both: 'Counts for new passkeys, and for those that exist from their next use on.',
  nothing: 'Changes no decision about a passkey.',
};

const REQUIREMENT = ['required', 'preferred', 'discouraged'] as const;

/** The choices of WebAuthn's requirements. @param notes what each does and breaks, the strictest first */
export function chooseRequirement(...notes: readonly Omit<Choice, 'value' | 'label'>[]): SettingForm {
  return { kind: 'choice', choices: REQUIREMENT.map((value, at) => ({ value, label: value, ...notes[at]! })) };
}

/** @param yes what it does to set it */
export function chooseYesOrNo(yes: Omit<Choice, 'value' | 'label'>, no: Omit<Choice, 'value' | 'label'>): SettingForm {
  return {
    kind: 'choice',
    choices: [
      { value: true, label: 'yes', ...yes },
      { value: false, label: 'no', ...no },
    ],
  };
}
