import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { HARMLESS, WEAKENING } from '../../src/relying-parties/setting-changes.js';
import { DEFAULT_POLICY } from '../../src/relying-parties/relying-party-policy.js';
import { ALGORITHMS } from '../../src/webauthn/cose.js';
import { findSetting, PARTY_SETTINGS, PURPOSE_SETTINGS } from './party-settings.js';
import type { Setting } from './setting.js';

interface Schema {
  readonly $ref?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly enum?: readonly unknown[];
  readonly type?: string;
  readonly items?: Schema;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxItems?: number;
  readonly maxLength?: number;
  readonly default?: unknown;
  readonly additionalProperties?: unknown;
}

const { components } = parse(readFileSync('src/openapi/openapi.yaml', 'utf8')) as {
  components: { schemas: Record<string, Schema> };
};

const resolve = ({ $ref, ...own }: Schema): Schema =>
  $ref === undefined ? own : { ...components.schemas[$ref.split('/').at(-1)!], ...own };

/** The leaves of a schema, by their pointers. What has names of its own, as purposes have, is one leaf. */
function leavesOf(schema: Schema, pointer = ''): [pointer: string, schema: Schema][] {
  const { properties, ...rest } = resolve(schema);
  if (!properties) return [[pointer, rest]];
  return Object.entries(properties).flatMap(([name, member]) => leavesOf(member, `${pointer}/${name}`));
}

const policy = leavesOf(components.schemas['PolicySettings']!, '/policy');
const purpose = leavesOf(components.schemas['PurposePolicy']!);
const successor = leavesOf(components.schemas['SuccessorSettings']!, '/successor');
const contract = new Map([...policy, ...successor]);

const standardOf = (pointer: string): unknown =>
  pointer
    .split('/')
    .slice(2)
    .reduce<unknown>((value, name) => (value as Record<string, unknown> | undefined)?.[name], DEFAULT_POLICY) ?? null;

describe('the explanations of settings', () => {
  it('have an entry for each member of the contract’s policy, and for no other', () => {
    const explained = PARTY_SETTINGS.map(({ pointer }) => pointer).filter((pointer) => pointer.startsWith('/policy/'));
    expect(explained.toSorted()).toEqual(policy.map(([pointer]) => pointer).toSorted());
    expect(PURPOSE_SETTINGS.map(({ pointer }) => pointer)).toEqual(purpose.map(([pointer]) => pointer));
  });

  it('have an entry for each setting whose change the service records', () => {
    const explained = PARTY_SETTINGS.map(({ pointer }) => pointer).filter((each) => each !== '/policy/purposes');
    expect(explained.toSorted()).toEqual([...WEAKENING, ...HARMLESS].toSorted());
  });

  const withChoices = [...PARTY_SETTINGS, ...PURPOSE_SETTINGS].filter(({ form }) => 'choices' in form);
  it.each(withChoices)('explain each choice of $pointer that the contract has', ({ pointer, form }) => {
    const choices = 'choices' in form ? form.choices : [];
    const schema = contract.get(pointer) ?? new Map(purpose).get(pointer);
    const allowed = schema && (schema.enum ?? (schema.items && resolve(schema.items).enum) ?? [true, false]);
    expect(choices.map(({ value }) => value)).toEqual([...(allowed ?? [true, false])]);
    for (const { does } of choices) expect(does).toMatch(/^.*\.$/);
  });

  it('say the default of each member of the policy', () => {
    const explained = PARTY_SETTINGS.filter(({ pointer }) => pointer.startsWith('/policy/'));
    for (const { pointer, standard } of explained) expect([pointer, standard]).toEqual([pointer, standardOf(pointer)]);
  });

  it('say the bounds of the contract', () => {
    const bounded = ({ pointer, form }: Setting, schema: Schema | undefined): void => {
      if (form.kind === 'number')
        expect({ pointer, minimum: schema?.minimum, maximum: schema?.maximum }).toEqual({
          pointer,
          minimum: form.minimum,
          maximum: form.maximum,
        });
      if (form.kind === 'lines' && schema) expect([pointer, schema.maxItems]).toEqual([pointer, form.maximum]);
    };
    for (const setting of PARTY_SETTINGS) bounded(setting, contract.get(setting.pointer));
    for (const setting of PURPOSE_SETTINGS) bounded(setting, new Map(purpose).get(setting.pointer));
    expect(contract.get('/policy/maxCredentialsPerUser')!.maximum).toBe(64);
  });

  it('name the algorithms as the service does', () => {
    const { form } = findSetting('/policy/algorithms')!;
    const labels = 'choices' in form ? form.choices.map(({ label }) => label) : [];
    expect(labels).toEqual(ALGORITHMS.map(({ name, cose }) => `${name} (${String(cose)})`));
  });

  it('are found for the member of any purpose', () => {
    expect(findSetting('/policy/purposes/pay/backup')?.title).toBe('Synced or device-bound');
    expect(findSetting('/policy/purposes/a~1b/maxAgeSeconds')?.title).toBe('Age of the last sign-in');
    expect(findSetting('/policy/moon')).toBeUndefined();
  });
});
