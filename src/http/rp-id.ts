import { ValidateBy } from 'class-validator';

const LABEL = /^(?!-)[a-z0-9-]{1,63}(?<!-)$/;

/** Accepts an RP ID (WebAuthn L3 §4): a lower-case ASCII domain, without a trailing dot, that is not an IP address. */
export function isRpId(value: unknown): value is string {
  if (typeof value !== 'string' || value.length > 253) return false;
  const labels = value.split('.');
  return labels.every((label) => LABEL.test(label)) && !/^\d+$/.test(labels.at(-1)!);
}

export function IsRpId(): PropertyDecorator {
  return ValidateBy({
    name: 'isRpId',
    validator: {
      validate: isRpId,
      defaultMessage: () => '$property must be a lower-case domain, such as login.example.com',
    },
  });
}
