import { type CompleteSettings, listDifferences } from '../explain/setting-differences.js';
import type { components } from '../../clients/typescript/src/contract.js';

/** Takes the settings out of a relying party, so that they can be changed. */
export function copySettings({ name, origins, enabled, policy, successor }: CompleteSettings): CompleteSettings {
  return structuredClone({ name, origins, enabled, policy, successor });
}

type Members = Record<string, unknown>;

/** @returns undefined for a member that is absent */
export function readMember(settings: CompleteSettings, pointer: string): unknown {
  return split(pointer).reduce<unknown>(
    (value, name) =>
      typeof value === 'object' && value !== null && Object.hasOwn(value, name) ? (value as Members)[name] : undefined,
    settings,
  );
}

/**
 * Returns settings with another value of one member.
 *
 * @param value null or undefined: the member is taken away
 */
export function writeMember(settings: CompleteSettings, pointer: string, value: unknown): CompleteSettings {
  const changed = structuredClone(settings);
  const names = split(pointer);
  const last = names.pop()!;
  if (names[0] === 'successor') return { ...changed, successor: writeSuccessor(changed.successor, last, value) };
  let holder = changed as unknown as Members;
  for (const name of names) {
    if (!Object.hasOwn(holder, name)) define(holder, name, {});
    holder = holder[name] as Members;
  }
  if (value === null || value === undefined) Reflect.deleteProperty(holder, last);
  else define(holder, last, value);
  return changed;
}

/** A purpose may be named like a member that every object inherits. */
function define(holder: Members, name: string, value: unknown): void {
  Object.defineProperty(holder, name, { value, enumerable: true, configurable: true, writable: true });
}

/** Without an RP ID there is no successor. */
function writeSuccessor(
  successor: CompleteSettings['successor'],
  member: string,
  value: unknown,
): CompleteSettings['successor'] {
  const next = { rpId: '', endsAt: null, registrations: 'accept' as const, ...successor, [member]: value ?? null };
  return next.rpId ? next : null;
}

/**
 * Makes the changes of a draft to what somebody else has stored meanwhile. Where both changed a member, the draft wins, and its
 * author sees that in the differences.
 */
export function mergeDraft(
  base: CompleteSettings,
  draft: CompleteSettings,
  current: CompleteSettings,
): CompleteSettings {
  return listDifferences(base, draft).reduce((merged, { pointer, after }) => {
    if (pointer.startsWith('/successor/')) return { ...merged, successor: structuredClone(draft.successor) };
    return writeMember(merged, pointer, after);
  }, copySettings(current));
}

/** What the service is sent. It refuses another version than the one that the draft began with. */
export function toBody(draft: CompleteSettings, version: number): components['schemas']['RelyingPartySettings'] {
  return { ...draft, version };
}

function split(pointer: string): string[] {
  return pointer
    .split('/')
    .slice(1)
    .map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** Shows a value of a setting as a text. */
export function formatValue(value: unknown): string {
  if (value === undefined || value === null || value === '') return 'none';
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : value.join(', ');
  if (typeof value === 'string') return value;
  if (typeof value !== 'object') return JSON.stringify(value);
  const names = Object.keys(value);
  return names.length === 0 ? 'none' : names.join(', ');
}
