import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { findReceiver, isAllowedAddress, parsePushReceivers, type PushReceiver } from './push-receivers.js';

const parse = (...lines: string[]): readonly PushReceiver[] =>
  parsePushReceivers(`version: 1\nreceivers:\n${lines.map((l) => `  - ${l}\n`).join('')}`);
const PUBLIC = parse('host: a.example')[0]!;

describe('the file of receivers', () => {
  it('lists hosts with a port and networks', () => {
    const [name, address] = parse(
      'host: a.example',
      '{ host: 10.0.0.7, port: 8443, addresses: [10.0.0.0/8, fd00::/8] }',
    );
    expect(name).toEqual({ host: 'a.example', port: 443, networks: undefined });
    expect(address).toMatchObject({ host: '10.0.0.7', port: 8443 });
    expect(address!.networks).toHaveLength(2);
  });

  it('is empty in docker-compose.yml, so that receivers there can only poll', () => {
    expect(parsePushReceivers(readFileSync('deploy/push-receivers.yaml', 'utf8'))).toEqual([]);
  });

  it.each<[string, string, string]>([
    ['no version', 'receivers: []', 'version must be 1'],
    ['no list', 'version: 1', 'receivers must be a list of at most 1000'],
    ['no object', '[]', 'version must be 1; receivers must be a list of at most 1000'],
    ['an unknown member', 'version: 1\nreceivers: []\nhosts: []', 'the file has the unknown member "hosts"'],
    ['a wildcard', 'version: 1\nreceivers: [{ host: "*.example" }]', 'receivers[0].host must be one name'],
    ['upper case', 'version: 1\nreceivers: [{ host: A.example }]', 'receivers[0].host must be one name'],
    ['a URL', 'version: 1\nreceivers: [{ host: "https://a.example" }]', 'receivers[0].host must be one name'],
    ['a host as text', 'version: 1\nreceivers: [a.example]', 'receivers[0] must have the member host'],
    ['a port of 0', 'version: 1\nreceivers: [{ host: a.example, port: 0 }]', 'receivers[0].port must be a port'],
    ['a port as text', 'version: 1\nreceivers: [{ host: a.example, port: "443" }]', 'receivers[0].port must be a port'],
    ['no network', 'version: 1\nreceivers: [{ host: a.example, addresses: [] }]', 'must be a list of networks'],
    ['an address', 'version: 1\nreceivers: [{ host: a.example, addresses: [10.0.0.1] }]', '"10.0.0.1" is no network'],
    ['a repetition', 'version: 1\nreceivers: [{ host: a.example }, { host: a.example, port: 443 }]', 'is there twice'],
    ['a tag', 'version: !!int 1\nreceivers: []', 'a YAML tag (!) is refused'],
  ])('is refused with %s', (_, text, message) => {
    expect(() => parsePushReceivers(text)).toThrow(message);
  });
});

describe('the URL of an endpoint', () => {
  const receivers = parse('host: a.example', "{ host: '2001:db8::1', port: 8443 }");

  it.each(['https://a.example/x?y=z', 'https://A.EXAMPLE:443/', 'https://[2001:DB8::1]:8443/'])('may be %s', (url) => {
    expect(findReceiver(receivers, url)).toMatchObject({ port: expect.any(Number) });
  });

  it.each<[string, string]>([
    ['http://a.example/', 'must be an https URL'],
    ['a.example', 'must be an https URL'],
    ['https://user@a.example/', 'must have no user'],
    ['https://:secret@a.example/', 'must have no user'],
    ['https://a.example/#x', 'must have no user, no password and no fragment'],
    ['https://a.example:444/', 'must be on a host'],
    ['https://b.a.example/', 'must be on a host'],
    ['https://a.example./', 'must be on a host'],
    ['https://a.example@evil.example/', 'must have no user'],
    ['https://evil.example\\@a.example/', 'must be on a host'],
  ])('may not be %s', (url, objection) => {
    expect(findReceiver(receivers, url)).toContain(objection);
  });
});

describe('an address of a receiver without networks', () => {
  it.each(['8.8.8.8', '1.1.1.1', '2606:4700::1111', '2a00:1450::1'])('may be %s', (address) => {
    expect(isAllowedAddress(PUBLIC, address)).toBe(true);
  });

  it.each([
    ...['127.0.0.1', '127.9.9.9', '0.0.0.0', '0.1.2.3', '10.1.2.3', '172.31.0.1', '192.168.1.1', '100.64.0.1'],
    ...['169.254.169.254', '192.0.0.8', '192.0.2.1', '198.18.0.1', '198.51.100.1', '203.0.113.4', '192.88.99.1'],
    ...['224.0.0.1', '240.0.0.1', '255.255.255.255', '::', '::1', '::127.0.0.1', '::ffff:127.0.0.1', '::ffff:8.8.8.8'],
    ...['64:ff9b::8.8.8.8', '64:ff9b:1::1', '2002:7f00:1::', '2001::1', 'fe80::1', 'fe80::1%eth0', 'fec0::1'],
    ...[
      'fc00::1',
      'fd00::1',
      'ff02::1',
      '2001:db8::1',
      '100::1',
      '2001:2::1',
      '3fff::1',
      '5f00::1',
      '4000::1',
      'none',
      '',
    ],
  ])('may not be %p', (address) => {
    expect(isAllowedAddress(PUBLIC, address)).toBe(false);
  });
});

describe('an address of a receiver with networks', () => {
  const listed = parse('{ host: a.example, addresses: [10.0.3.0/24, fd00::/8] }')[0]!;

  it.each(['10.0.3.1', '::ffff:10.0.3.1', 'fd12::1'])('may be %s', (address) => {
    expect(isAllowedAddress(listed, address)).toBe(true);
  });

  it.each(['10.0.4.1', '8.8.8.8', '::ffff:10.0.4.1', '64:ff9b::10.0.3.1', '127.0.0.1', 'fc00::1'])(
    'may not be %s',
    (address) => {
      expect(isAllowedAddress(listed, address)).toBe(false);
    },
  );
});
