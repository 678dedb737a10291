import { describe, expect, it } from '@jest/globals';
import { ConfigError, readConfig } from './config.js';

const describeUnknown = (env: NodeJS.ProcessEnv): readonly string[] => readConfig(env).unknownSettings;

describe('a variable that begins with PASSKEY_ and is no setting', () => {
  it.each([
    ['PASSKEY_WORKER', 'PASSKEY_WORKERS'],
    ['PASSKEY_AUDIT_ANCHOR_FLE', 'PASSKEY_AUDIT_ANCHOR_FILE'],
    ['PASSKEY_TLS_PASSPHRASE_FILE', 'PASSKEY_TLS_KEY_PASSPHRASE_FILE'],
    ['PASSKEY_MDS_FILE', 'PASSKEY_MDS_BLOB_FILE'],
    ['PASSKEY_DATABASE_PASWORD_FILE', 'PASSKEY_DATABASE_PASSWORD_FILE'],
  ])('%s is named with the setting that is meant, %s, and does not stop the start', (name, meant) => {
    const told = `${name} is not a setting of this version; did you mean ${meant}?`;
    expect(describeUnknown({ [name]: 'some value' })).toEqual([told]);
  });

  it('is named alone if no setting is like it', () => {
    expect(describeUnknown({ PASSKEY_IMAGE: 'passkey-manager:local' })).toEqual([
      'PASSKEY_IMAGE is not a setting of this version',
    ]);
  });

  it('is named without its value, which may be a secret', () => {
    expect(describeUnknown({ PASSKEY_DATABASE_PASSWORD: 'tell-nobody' }).join()).not.toContain('tell-nobody');
  });

  it('is named beside the mistakes that stop a start, one of which it may explain', () => {
    const env = { NODE_ENV: 'production', PASSKEY_BINDING_KEYS_FILE: '/etc/keys' };
    expect(() => readConfig(env)).toThrow(ConfigError);
    expect(() => readConfig(env)).toThrow(
      /PASSKEY_BINDING_KEY_FILE is not set(.*\n)+.*did you mean PASSKEY_BINDING_KEY_FILE\?/,
    );
  });
});

it.each(['URL', 'CERT', 'CERT_KEY', 'CA', 'OUTPUT', 'AS'])(
  'PASSKEY_MANAGER_%s is for the command line, and no mistake',
  (name) => {
    expect(describeUnknown({ [`PASSKEY_MANAGER_${name}`]: 'x' })).toEqual([]);
  },
);

describe('the variables that Kubernetes makes for a Service', () => {
  /** As Kubernetes names them for a Service with the ports https (8443) and 8081. */
  const createLinks = (service: string): NodeJS.ProcessEnv => ({
    [`${service}_SERVICE_HOST`]: '10.0.0.11',
    [`${service}_SERVICE_PORT`]: '8443',
    [`${service}_SERVICE_PORT_HTTPS`]: '8443',
    [`${service}_PORT`]: 'tcp://10.0.0.11:8443',
    [`${service}_PORT_8443_TCP`]: 'tcp://10.0.0.11:8443',
    [`${service}_PORT_8443_TCP_PROTO`]: 'tcp',
    [`${service}_PORT_8443_TCP_PORT`]: '8443',
    [`${service}_PORT_8443_TCP_ADDR`]: '10.0.0.11',
    [`${service}_PORT_8081_TCP`]: 'tcp://10.0.0.11:8081',
  });

  it.each(['PASSKEY_MANAGER', 'PASSKEY', 'PASSKEY_MANAGER_CANARY'])('are no mistake (%s)', (service) => {
    expect(describeUnknown(createLinks(service))).toEqual([]);
  });

  it('are explained where one of them has the name of a setting', () => {
    expect(() => readConfig(createLinks('PASSKEY_HTTPS'))).toThrow(
      'PASSKEY_HTTPS_PORT is "tcp://10.0.0.11:8443"; it must be a port, 0 to 65535: Kubernetes sets it for a Service named passkey-https, unless the pod has enableServiceLinks: false',
    );
  });
});
