import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';

interface Composition {
  readonly services: Readonly<
    Record<
      string,
      {
        readonly volumes?: readonly string[];
        readonly secrets?: readonly string[];
        readonly command?: unknown;
        readonly build?: { readonly target?: string };
      }
    >
  >;
}

const { services } = parse(readFileSync('docker-compose.yml', 'utf8'), { merge: true }) as Composition;

describe('docker-compose.yml', () => {
  it('gives each container only the passwords that it needs, as files', () => {
    const given = Object.entries(services).map(([name, { secrets = [] }]) => [name, secrets]);
    expect(Object.fromEntries(given)).toMatchObject({
      migrate: ['migrator-password'],
      'passkey-manager': ['service-password'],
      pki: [],
    });
    expect(readFileSync('docker-compose.yml', 'utf8')).not.toMatch(/:\/\/\w+:[^@\s]+@|PASSWORD: /);
  });

  it('shows the keys of the CA and of callers only to the job that makes them', () => {
    const seeing = Object.entries(services).filter(([, { volumes }]) =>
      volumes?.some((it) => it.startsWith('prepared:')),
    );
    expect(seeing.map(([name]) => name)).toEqual(['pki']);
    expect(services['pki']?.volumes).toEqual([
      'prepared:/var/lib/passkey-manager-prepared',
      'service:/var/lib/passkey-manager',
    ]);
  });

  it('gives the service the files that the job copies for it, read-only', () => {
    expect(services['passkey-manager']?.volumes).toContain('service:/var/lib/passkey-manager:ro');
    const command = ['node', 'dist/dev/prepare.js', '/var/lib/passkey-manager-prepared', '/var/lib/passkey-manager'];
    expect(services['pki']?.command).toEqual(command);
  });

  it('builds development code into the image of that job alone', () => {
    const targets = Object.entries(services).flatMap(([name, { build }]) => (build ? [[name, build.target]] : []));
    expect(Object.fromEntries(targets)).toEqual({ pki: 'trial', migrate: 'service', 'passkey-manager': 'service' });
    const [, ...stages] = readFileSync('Dockerfile', 'utf8').split(/^FROM .* AS /m);
    expect(stages.map((stage) => stage.split('\n', 1)[0])).toEqual([
      ...['build', 'dependencies', 'runtime', 'trial', 'service'],
    ]);
    const holding = stages.filter((stage) => /^COPY .*\.\/dist\/dev$/m.test(stage));
    expect(holding.map((stage) => stage.split('\n', 1)[0])).toEqual(['trial']);
  });
});
