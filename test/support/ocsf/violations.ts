import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormatsModule from 'ajv-formats';
import { CLASS_UIDS, makeJsonSchema } from './json-schema.js';

const ajv = addFormatsModule.default(new Ajv2020({ strict: false, allErrors: true }));
const validators = new Map<unknown, ValidateFunction>(
  CLASS_UIDS.map((classUid) => [Number(classUid), ajv.compile(makeJsonSchema(classUid))]),
);

/** Lists the members in which an event violates OCSF's definition of its class. */
export function findViolations(event: object): string[] {
  const { class_uid } = event as { class_uid?: unknown };
  const validate = validators.get(class_uid);
  if (!validate) return [`class_uid: OCSF class ${String(class_uid)} has no definition in classes.json`];
  if (validate(event)) return [];
  return (validate.errors ?? []).map(({ instancePath, message, params }) =>
    [instancePath.slice(1).replaceAll('/', '.'), message, JSON.stringify(params)].join(': '),
  );
}
