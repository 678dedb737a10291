import 'reflect-metadata';
import { hash } from 'node:crypto';
import { readFile, mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { X509CertificateGenerator } from '@peculiar/x509';
import pg from 'pg';
import { chromium, type Browser, type CDPSession, type Frame, type Page } from 'playwright-core';
import { PasskeyManager, type PasskeyProblem, type Schemas } from '@passkey-manager/client';
import { launchPasskeyManager, type PasskeyManagerProcess } from '../../examples/auth-service/launch.ts';
import { CHROMIUM_ARGUMENTS, CHROMIUM_PATH, type StoredPasskey } from './stage.ts';

type DeviceOptions = Parameters<typeof addDevice>[1];

/** The parts of a ceremony that a test changes. */
interface CeremonyOptions {
  /** Members of the challenge request to add. */
  readonly challenge?: object;
  /** Members of the options to replace, as a page could. */
  readonly options?: object;
  /** Where the ceremony runs; by default the page. */
  readonly frame?: Page | Frame;
}

/**
 * Passkey Manager, a browser, and bare pages at https origins of any name: every host resolves to one page server. Each
 * test has a relying party and a passkey device of its own.
 */
export class Site {
  readonly auth: PasskeyManager;
  readonly operator: PasskeyManager;
  readonly page: Page;
  readonly #parts: Parts;
  #parties = 0;
  #devices: Device[] = [];

  private constructor(parts: Parts) {
    this.#parts = parts;
    this.auth = parts.clientOf('auth-service');
    this.operator = parts.clientOf('operator');
    this.page = parts.page;
  }

  static async open(): Promise<Site> {
    const dataDir = await mkdtemp(join(tmpdir(), 'passkey-manager-ceremonies-'));
    const ends: (() => Promise<unknown>)[] = [() => rm(dataDir, { recursive: true, force: true })];
    try {
      const service = await launchPasskeyManager({
        ...process.env,
        PASSKEY_DATA_DIR: dataDir,
        PASSKEY_HTTPS_PORT: '0',
        PASSKEY_MANAGEMENT_PORT: '0',
      });
      ends.push(() => service.stop());
      const pages = await PageServer.listen();
      ends.push(() => pages.close());
      const browser = await launch(pages);
      ends.push(() => browser.close());
      const page = await browser.newPage({ ignoreHTTPSErrors: true });
      page.setDefaultTimeout(15_000);
      const session = await page.context().newCDPSession(page);
      await session.send('WebAuthn.enable');
      const clientOf = (name: string): PasskeyManager => {
        const file = (end: string) => join(dataDir, 'pki', `${name}.${end}`);
        const files = { certFile: file('crt'), keyFile: file('key'), caFile: join(dataDir, 'pki', 'ca.crt') };
        const client = new PasskeyManager({ url: service.url, ...files });
        ends.push(() => {
          client.close();
          return Promise.resolve();
        });
        return client;
      };
      return new Site({ ends, dataDir, service, pages, page, session, clientOf });
    } catch (error) {
      await endAll(ends);
      throw error;
    }
  }

  async close(): Promise<void> {
    await endAll(this.#parts.ends);
  }

  /** Creates a relying party, opens its page and plugs in a device. */
  async party(
    policy: Schemas['PolicySettings'] = {},
    device: DeviceOptions = {},
    origins: readonly string[] = [],
  ): Promise<Party> {
    const rpId = `rp${String((this.#parties += 1))}.bank.example`;
    const origin = `https://${rpId}`;
    await this.operator.putRelyingParty(rpId, { name: rpId, origins: [origin, ...origins], policy });
    await this.page.goto(origin);
    return new Party(this, rpId, await this.plugIn(device));
  }

  /** Plugs in a device, and unplugs the previous ones, except for some. */
  async plugIn(options: DeviceOptions, beside: readonly Device[] = []): Promise<Device> {
    for (const device of this.#devices.filter((other) => !beside.includes(other))) await device.unplug();
    const device = await Device.plugIn(this.#parts.session, options);
    this.#devices = [...beside, device];
    return device;
  }

  /** The options of a program that calls the service as one of the callers. */
  optionsOf(name: string): string[] {
    const file = (name: string) => join(this.dataDir, 'pki', name);
    const { url } = this.#parts.service;
    return ['--url', url, '--cert', file(`${name}.crt`), '--cert-key', file(`${name}.key`), '--ca', file('ca.crt')];
  }

  get dataDir(): string {
    return this.#parts.dataDir;
  }

  /** Serves this document at https://{host}/.well-known/webauthn. */
  relate(host: string, document: object): void {
    this.#parts.pages.related.set(host, document);
  }

  /** Runs SQL as a superuser, without the service's knowledge. */
  async sql(text: string, values: unknown[]): Promise<void> {
    const home = join(this.#parts.dataDir, 'postgres');
    const password = (await readFile(join(home, 'password'), 'utf8')).trim();
    const port = Number((await readFile(join(home, 'data', 'postmaster.pid'), 'utf8')).split('\n')[3]);
    const client = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', password, database: 'passkey_manager' });
    await client.connect();
    await client.query(text, values).finally(() => client.end());
  }
}

interface Parts {
  readonly ends: (() => Promise<unknown>)[];
  readonly dataDir: string;
  readonly service: PasskeyManagerProcess;
  readonly pages: PageServer;
  readonly page: Page;
  readonly session: CDPSession;
  readonly clientOf: (name: string) => PasskeyManager;
}

/** One relying party and the ceremonies of its users: auth-service and the page's script in one. */
export class Party {
  readonly site: Site;
  readonly rpId: string;
  readonly device: Device;

  constructor(site: Site, rpId: string, device: Device) {
    this.site = site;
    this.rpId = rpId;
    this.device = device;
  }

  async register(userId: string, ceremony: CeremonyOptions = {}): Promise<Schemas['Credential']> {
    const { challengeId, publicKey } = await this.registrationChallenge(userId, ceremony.challenge);
    const response = await create(ceremony.frame ?? this.site.page, { ...publicKey, ...ceremony.options });
    return this.site.auth.registerCredential({ challengeId, response });
  }

  registrationChallenge(userId: string, members: object = {}): Promise<Schemas['RegistrationChallenge']> {
    return this.site.auth.issueRegistrationChallenge({
      rpId: this.rpId,
      user: { id: userId, name: `${userId}@bank.example`, displayName: userId },
      identityProof: { method: 'password+otp', verifiedAt: new Date().toISOString() },
      ...members,
    });
  }

  async authenticate(ceremony: CeremonyOptions = {}): Promise<Schemas['Verification']> {
    const members = ceremony.challenge ?? {};
    const { challengeId, publicKey } = await this.site.auth.issueAuthenticationChallenge({
      rpId: this.rpId,
      ...members,
    });
    const response = await get(ceremony.frame ?? this.site.page, { ...publicKey, ...ceremony.options });
    return this.site.auth.verifyAuthentication({ challengeId, response });
  }
}

/** Runs a page's own script in the page, and changes neither the options nor the answer on the way. */
export function create(frame: Page | Frame, options: object): Promise<Schemas['RegistrationResponseJSON']> {
  return frame.evaluate(async (json) => {
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(json as PublicKeyCredentialCreationOptionsJSON);
    const credential = (await navigator.credentials.create({ publicKey })) as PublicKeyCredential;
    return credential.toJSON() as never;
  }, options);
}

export function get(frame: Page | Frame, options: object): Promise<Schemas['AuthenticationResponseJSON']> {
  return frame.evaluate(async (json) => {
    const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(json as PublicKeyCredentialRequestOptionsJSON);
    const credential = (await navigator.credentials.get({ publicKey })) as PublicKeyCredential;
    return credential.toJSON() as never;
  }, options);
}

/** Returns the reason for which the service refuses `run`. */
export async function refusal(run: Promise<unknown>): Promise<string | undefined> {
  try {
    await run;
    return undefined;
  } catch (error) {
    return (error as PasskeyProblem).reason ?? String(error);
  }
}

function addDevice(session: CDPSession, options: Partial<Record<string, boolean | string>>) {
  return session.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      ctap2Version: 'ctap2_1',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
      ...options,
    },
  });
}

/** A passkey device of Chromium's DevTools protocol. */
export class Device {
  readonly #session: CDPSession;
  readonly #authenticatorId: string;

  private constructor(session: CDPSession, authenticatorId: string) {
    this.#session = session;
    this.#authenticatorId = authenticatorId;
  }

  static async plugIn(session: CDPSession, options: DeviceOptions): Promise<Device> {
    return new Device(session, (await addDevice(session, options)).authenticatorId);
  }

  async unplug(): Promise<void> {
    await this.#session.send('WebAuthn.removeVirtualAuthenticator', { authenticatorId: this.#authenticatorId });
  }

  async passkeys(): Promise<StoredPasskey[]> {
    return (await this.#session.send('WebAuthn.getCredentials', { authenticatorId: this.#authenticatorId }))
      .credentials;
  }

  async restore(credential: StoredPasskey): Promise<void> {
    await this.#session.send('WebAuthn.addCredential', { authenticatorId: this.#authenticatorId, credential });
  }

  async ignoreTouches(): Promise<void> {
    const enabled = { authenticatorId: this.#authenticatorId, enabled: false };
    await this.#session.send('WebAuthn.setAutomaticPresenceSimulation', enabled);
  }

  /** Makes the device answer without user presence and verification, as a conditional create does. */
  async stayAway(): Promise<void> {
    const bits = { isBadUP: true, isBadUV: true };
    await this.#session.send('WebAuthn.setResponseOverrideBits', { authenticatorId: this.#authenticatorId, ...bits });
  }
}

/** One server for every host: bare pages, and the documents of related origins. */
class PageServer {
  readonly related = new Map<string, object>();
  readonly #server: Server;
  /** Base64 SHA-256 of the public key, by which the browser accepts the certificate. */
  readonly keyDigest: string;

  private constructor(server: Server, keyDigest: string) {
    this.#server = server;
    this.keyDigest = keyDigest;
  }

  static async listen(): Promise<PageServer> {
    const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
    const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
    const certificate = await X509CertificateGenerator.createSelfSigned({
      name: 'CN=pages',
      keys,
      signingAlgorithm: algorithm,
    });
    const pkcs8 = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
    const key = `-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n`;
    const keyDigest = hash('sha256', Buffer.from(certificate.publicKey.rawData), 'base64');
    const pages: PageServer = new PageServer(
      createServer({ key, cert: certificate.toString('pem') }, (request, response) => {
        const document = pages.related.get(request.headers.host ?? '');
        if (request.url !== '/.well-known/webauthn') {
          response.setHeader('content-type', 'text/html').end('<!doctype html><title>Passkeys</title>');
        } else if (document) response.setHeader('content-type', 'application/json').end(JSON.stringify(document));
        else response.writeHead(404).end();
      }),
      keyDigest,
    );
    await new Promise<void>((resolve) => pages.#server.listen(0, '127.0.0.1', resolve));
    return pages;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function launch(pages: PageServer): Promise<Browser> {
  return chromium.launch({
    executablePath: CHROMIUM_PATH,
    args: [
      ...CHROMIUM_ARGUMENTS,
      '--enable-features=SecurePaymentConfirmationBrowser',
      `--host-resolver-rules=MAP * 127.0.0.1:${String(pages.port)}`,
      `--ignore-certificate-errors-spki-list=${pages.keyDigest}`,
    ],
  });
}

async function endAll(ends: (() => Promise<unknown>)[]): Promise<void> {
  for (const end of ends.splice(0).reverse()) await end();
}
