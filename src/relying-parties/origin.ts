import { buildMessage, ValidateBy, type ValidationOptions } from 'class-validator';

/**
 * An Android app's origin as Credential Manager writes it into the client data: the SHA-256 of the app's signing
 * certificate in base64url.
 */
const ANDROID_APP = /^android:apk-key-hash:[A-Za-z0-9_-]{43}$/;

/** A domain or an IPv4 address. The URL parser accepts more as a host, such as `*`. */
const HOST = /^[a-z0-9.-]+$/;

/**
 * True for an origin exactly as a client writes it into the client data (RFC 6454 §6.2): https, http with a loopback
 * name, or an Android app.
 */
export function isOrigin(value: unknown): value is string {
  if (typeof value !== 'string' || value.length > 512) return false;
  if (ANDROID_APP.test(value)) return true;
  if (!URL.canParse(value)) return false;
  const { origin, protocol, hostname } = new URL(value);
  const loopback = hostname === 'localhost' || hostname.endsWith('.localhost');
  return origin === value && HOST.test(hostname) && (protocol === 'https:' || (protocol === 'http:' && loopback));
}

export function IsOrigin(options?: ValidationOptions): PropertyDecorator {
  return ValidateBy(
    {
      name: 'isOrigin',
      validator: {
        validate: isOrigin,
        defaultMessage: buildMessage(
          (each) => `${each}$property must be an origin such as https://login.example.com or android:apk-key-hash:…`,
          options,
        ),
      },
    },
    options,
  );
}
