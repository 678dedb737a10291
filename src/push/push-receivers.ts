import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { parsePlainYaml } from '../config/plain-yaml.js';

/** A host to which the service may push. */
export interface PushReceiver {
  /** A name or an address, as the URL of an endpoint has it after parsing; an IPv6 address without brackets. */
  readonly host: string;
  readonly port: number;
  /** Its addresses must be in one of these; undefined: they must be public. */
  readonly networks: readonly Network[] | undefined;
}

type Network = [ipaddr.IPv4 | ipaddr.IPv6, number];

/** RFC 4291 §2.4; what IANA has handed out of IPv6. */
const GLOBAL_UNICAST: Network = [ipaddr.parse('2000::'), 3];
const HTTPS_PORT = 443;
const MAX_RECEIVERS = 1_000;
const NAME = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/;

/**
 * Parses the file of receivers strictly: an unknown member, a wildcard or a repetition refuses the whole file.
 *
 * @throws Error whose message has every mistake
 */
export function parsePushReceivers(text: string): readonly PushReceiver[] {
  const mistakes: string[] = [];
  const root = parsePlainYaml(text);
  const receivers = isRecord(root) ? root['receivers'] : undefined;
  if (!isRecord(root) || root['version'] !== 1) mistakes.push('version must be 1');
  if (isRecord(root)) mistakes.push(...findUnknown(root, ['version', 'receivers'], 'the file'));
  if (!Array.isArray(receivers) || receivers.length > MAX_RECEIVERS)
    mistakes.push(`receivers must be a list of at most ${String(MAX_RECEIVERS)}`);
  const read = Array.isArray(receivers)
    ? receivers.map((value, index) => readReceiver(value, `receivers[${String(index)}]`, mistakes))
    : [];
  const repeated = read.filter(
    ({ host, port }, index) => read.findIndex((a) => a.host === host && a.port === port) < index,
  );
  mistakes.push(...repeated.map(({ host, port }) => `${host} with port ${String(port)} is there twice`));
  if (mistakes.length > 0) throw new Error(`cannot be used: ${mistakes.join('; ')}`);
  return read;
}

function readReceiver(value: unknown, at: string, mistakes: string[]): PushReceiver {
  const members = isRecord(value) ? value : {};
  if (!isRecord(value)) mistakes.push(`${at} must have the member host`);
  mistakes.push(...findUnknown(members, ['host', 'port', 'addresses'], at));
  const { host, port = HTTPS_PORT, addresses } = members;
  if (typeof host !== 'string' || (isIP(host) === 0 && !NAME.test(host)))
    mistakes.push(`${at}.host must be one name in lower case, or an address`);
  if (typeof port !== 'number' || !Number.isInteger(port) || port < 1 || port > 65_535)
    mistakes.push(`${at}.port must be a port, 1 to 65535`);
  return { host: String(host), port: Number(port), networks: readNetworks(addresses, `${at}.addresses`, mistakes) };
}

function readNetworks(value: unknown, at: string, mistakes: string[]): readonly Network[] | undefined {
  if (value === undefined) return undefined;
  if (!Array.isArray(value) || value.length === 0) {
    mistakes.push(`${at} must be a list of networks, such as 10.0.3.0/24`);
    return [];
  }
  return value.flatMap((network: unknown): Network[] => {
    if (typeof network === 'string' && ipaddr.isValidCIDR(network)) return [ipaddr.parseCIDR(network)];
    mistakes.push(`${at}: ${JSON.stringify(network)} is no network such as 10.0.3.0/24`);
    return [];
  });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function findUnknown(members: object, known: readonly string[], at: string): string[] {
  return Object.keys(members)
    .filter((name) => !known.includes(name))
    .map((name) => `${at} has the unknown member "${name.slice(0, 50)}"`);
}

/**
 * Finds the receiver that the URL of an endpoint belongs to.
 *
 * @returns a sentence without the URL if there is none: the URL is not https, has a user or a fragment, or nobody listed its host
 *   with its port
 */
export function findReceiver(receivers: readonly PushReceiver[], url: string): PushReceiver | string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed?.protocol !== 'https:') return 'must be an https URL';
  if (parsed.username !== '' || parsed.password !== '' || url.includes('#'))
    return 'must have no user, no password and no fragment';
  const host = parsed.hostname.replace(/^\[(.*)\]$/, '$1');
  const port = parsed.port === '' ? HTTPS_PORT : Number(parsed.port);
  const receiver = receivers.find((known) => known.host === host && known.port === port);
  return receiver ?? 'must be on a host, and have its port, that the operator allows';
}

/**
 * Says if the service may connect to an address of a receiver. Public is what the registries of IANA call globally reachable
 * unicast: an IPv4 address in an IPv6 one (mapped, NAT64, 6to4, Teredo) is not.
 */
export function isAllowedAddress({ networks }: PushReceiver, address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.parse(address);
  if (networks === undefined)
    return parsed.range() === 'unicast' && (parsed.kind() === 'ipv4' || parsed.match(GLOBAL_UNICAST));
  const plain = ipaddr.process(address);
  return networks.some(([base, bits]) =>
    [parsed, plain].some((form) => form.kind() === base.kind() && form.match(base, bits)),
  );
}
