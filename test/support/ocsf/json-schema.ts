import { readFileSync } from 'node:fs';

type Schema = boolean | { readonly [keyword: string]: unknown };
type Schemas = Record<string, Schema>;

interface Enumeration {
  readonly sibling: string;
  readonly captions: Readonly<Record<string, string>>;
}

interface Definition {
  readonly attributes: Readonly<Record<string, string>>;
  readonly enums?: Readonly<Record<string, Enumeration>>;
  readonly at_least_one?: readonly string[];
  readonly open?: boolean;
}

interface EventClass extends Definition {
  readonly caption: string;
  readonly activities: Readonly<Record<string, string>>;
}

const read = (name: string): unknown => JSON.parse(readFileSync(new URL(`${name}.json`, import.meta.url), 'utf8'));

const { types } = read('types') as { types: Schemas };
const { objects } = read('objects') as { objects: Record<string, Definition> };
const { classes } = read('classes') as { classes: Record<string, EventClass> };
const base = read('base-event') as Definition & {
  readonly version: string;
  readonly profiles: readonly string[];
  readonly categories: Readonly<Record<string, string>>;
};

export const OCSF_VERSION = base.version;
export const CLASS_UIDS: readonly string[] = Object.keys(classes);

/** Makes a JSON Schema (draft 2020-12) of OCSF's definition of a class. It allows unknown members only in `unmapped`. */
export function makeJsonSchema(classUid: string): object {
  const eventClass = classes[classUid];
  if (!eventClass) throw new Error(`OCSF class ${classUid} has no definition in classes.json`);
  const $defs = { ...types, ...Object.fromEntries(Object.entries(objects).map(([name, it]) => [name, closed(it)])) };
  const event = closed({
    ...eventClass,
    attributes: { ...base.attributes, ...eventClass.attributes },
    enums: { ...base.enums, ...eventClass.enums, ...classification(classUid, eventClass) },
  });
  const rules = [...profileRules({ ...base.attributes, ...eventClass.attributes }), ...typeRules(classUid, eventClass)];
  return { $schema: 'https://json-schema.org/draft/2020-12/schema', $defs, allOf: [event, ...rules] };
}

function closed({ attributes, enums, at_least_one, open = false }: Definition): Schema {
  const parsed = Object.entries(attributes).map(([name, text]) => ({ name, ...attribute(text) }));
  return {
    type: 'object',
    properties: Object.fromEntries(parsed.map(({ name, type }) => [name, schemaOf(type)])),
    required: parsed.filter(({ requirement }) => requirement === 'required').map(({ name }) => name),
    additionalProperties: open,
    ...(enums && { allOf: Object.entries(enums).map(([name, enumeration]) => captioned(name, enumeration)) }),
    ...(at_least_one && { anyOf: at_least_one.map((name) => ({ required: [name] })) }),
  };
}

function attribute(text: string): { type: string; requirement: string; profile: string | undefined } {
  const [type = '', requirement = '', profile] = text.split(' ');
  return { type, requirement, profile };
}

function schemaOf(type: string): Schema {
  if (type.endsWith('[]')) return { type: 'array', items: schemaOf(type.slice(0, -2)) };
  return type in types || type in objects ? { $ref: `#/$defs/${type}` } : false;
}

/** Demands that an id is in the enumeration and its sibling is the id's caption. For 99 the sibling is the source's own word. */
function captioned(name: string, { sibling, captions }: Enumeration): Schema {
  const pairs = Object.entries(captions).map(([id, caption]) =>
    id === '99'
      ? { properties: { [name]: { const: 99 }, [sibling]: { not: { const: caption } } }, required: [sibling] }
      : { properties: { [name]: { const: Number(id) }, [sibling]: { const: caption } } },
  );
  return { if: { required: [name] }, then: { anyOf: pairs }, else: { properties: { [sibling]: false } } };
}

function classification(classUid: string, { caption, activities }: EventClass): Record<string, Enumeration> {
  const category = classUid.slice(0, 1);
  const typeCaptions = Object.entries(activities).map(([id, activity]) => [
    String(typeUid(classUid, id)),
    `${caption}: ${activity}`,
  ]);
  return {
    category_uid: { sibling: 'category_name', captions: { [category]: base.categories[category] ?? '' } },
    class_uid: { sibling: 'class_name', captions: { [classUid]: caption } },
    activity_id: { sibling: 'activity_name', captions: activities },
    type_uid: { sibling: 'type_name', captions: Object.fromEntries(typeCaptions) as Record<string, string> },
  };
}

const typeUid = (classUid: string, activityId: string): number => Number(classUid) * 100 + Number(activityId);

function typeRules(classUid: string, { activities }: EventClass): Schema[] {
  return Object.keys(activities).map((id) => ({
    if: { properties: { activity_id: { const: Number(id) } } },
    then: { properties: { type_uid: { const: typeUid(classUid, id) } } },
  }));
}

/** Lists the rules for the attributes of profiles, and for the version and the profiles in `metadata`. */
function profileRules(attributes: Readonly<Record<string, string>>): Schema[] {
  const metadata = {
    version: { const: OCSF_VERSION },
    profiles: { uniqueItems: true, items: { enum: base.profiles } },
  };
  const rules = Object.entries(attributes).flatMap(([name, text]) => {
    const { profile } = attribute(text);
    if (profile === undefined) return [];
    const active = { required: ['profiles'], properties: { profiles: { contains: { const: profile } } } };
    return [{ if: { required: [name] }, then: { properties: { metadata: active } } }];
  });
  return [{ properties: { metadata: { properties: metadata } } }, ...rules];
}
