import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, type CDPSession, type Page } from 'playwright-core';
import { PasskeyManager } from '@passkey-manager/client';
import {
  launchAuthService,
  launchPasskeyManager,
  launchShop,
  type LaunchedProgram,
  type PasskeyManagerProcess,
} from '../../examples/auth-service/launch.ts';

export const CHROMIUM_PATH = process.env['CHROMIUM_PATH'] ?? '/usr/bin/chromium';

export const CHROMIUM_ARGUMENTS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
];

/** The real service with its own database, the example, its shop, and a browser with a software passkey device. */
export class Stage {
  readonly page: Page;
  readonly origin: string;
  readonly shopOrigin: string;
  readonly dataDir: string;
  readonly device: Device;
  readonly #env: NodeJS.ProcessEnv;
  readonly #ends: (() => Promise<unknown>)[];
  #passkeyManager: PasskeyManagerProcess;

  private constructor(parts: Pick<Stage, 'page' | 'origin' | 'shopOrigin' | 'dataDir' | 'device'>, running: Running) {
    this.page = parts.page;
    this.origin = parts.origin;
    this.shopOrigin = parts.shopOrigin;
    this.dataDir = parts.dataDir;
    this.device = parts.device;
    this.#env = running.env;
    this.#ends = running.ends;
    this.#passkeyManager = running.passkeyManager;
  }

  /** @param features of Chromium that are off by default */
  static async set(
    { pixels = 1, ...viewport } = { width: 1280, height: 800 },
    features: readonly string[] = [],
  ): Promise<Stage> {
    const ends: (() => Promise<unknown>)[] = [];
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => process.exit(1));
    try {
      const dataDir = await mkdtemp(join(tmpdir(), 'passkey-manager-browser-'));
      ends.push(() => rm(dataDir, { recursive: true, force: true }));
      const [httpsPort, managementPort, pagePort, shopPort] = await findFreePorts(4);
      const env = {
        ...process.env,
        PASSKEY_DATA_DIR: dataDir,
        PASSKEY_HTTPS_PORT: String(httpsPort),
        PASSKEY_MANAGEMENT_PORT: String(managementPort),
        AUTH_SERVICE_PORT: String(pagePort),
        SHOP_PORT: String(shopPort),
        SHOP_KEY: randomBytes(32).toString('base64url'),
      };
      const passkeyManager = await launchPasskeyManager(env);
      const running = { env, ends, passkeyManager };
      const origin = `http://localhost:${String(pagePort)}`;
      await allowOrigin(origin, passkeyManager.url, dataDir);
      const authService = await launchAuthService({ ...env, PASSKEY_URL: passkeyManager.url });
      ends.push(() => authService.stop());
      const shop = await launchShop(env);
      ends.push(() => shop.stop());
      const browser = await chromium.launch({
        executablePath: CHROMIUM_PATH,
        args: [...CHROMIUM_ARGUMENTS, `--enable-features=${features.join()}`],
      });
      ends.push(() => browser.close());
      const page = await browser.newPage({ viewport, deviceScaleFactor: pixels });
      page.setDefaultTimeout(15_000);
      await page.addInitScript(withoutAutofillWhenAsked);
      const device = await Device.plugIn(await page.context().newCDPSession(page));
      const shopOrigin = `http://localhost:${String(shopPort)}`;
      return new Stage({ page, origin, shopOrigin, dataDir, device }, running);
    } catch (error) {
      await endAll(ends);
      throw error;
    }
  }

  /** Turns autofill on or off from the next load of the page. The device answers it before a test can press a button. */
  async offerAutofill(offered: boolean): Promise<void> {
    await this.page.evaluate(
      (off) => {
        sessionStorage.setItem('without-autofill', off);
      },
      offered ? '' : 'true',
    );
  }

  /** Starts a further auth-service, on a page of its own. */
  async launchAnother(env: NodeJS.ProcessEnv): Promise<LaunchedProgram> {
    const launched = await launchAuthService({ ...this.#env, PASSKEY_URL: this.#passkeyManager.url, ...env });
    this.#ends.push(() => launched.stop());
    return launched;
  }

  /** Returns a client of Passkey Manager, which ends with the stage. */
  connectAs(identity: 'operator' | 'auth-service'): PasskeyManager {
    const client = connectAs(identity, this.#passkeyManager.url, this.dataDir);
    this.#ends.push(() => {
      client.close();
      return Promise.resolve();
    });
    return client;
  }

  get passkeyManagerUrl(): string {
    return this.#passkeyManager.url;
  }

  async restartPasskeyManager(): Promise<number | null> {
    const exitCode = await this.#passkeyManager.stop();
    this.#passkeyManager = await launchPasskeyManager(this.#env);
    return exitCode;
  }

  /** Runs `action` while Passkey Manager does not. */
  async withoutPasskeyManager(action: () => Promise<void>): Promise<void> {
    await this.#passkeyManager.stop();
    await action().finally(async () => {
      this.#passkeyManager = await launchPasskeyManager(this.#env);
    });
  }

  async strike(): Promise<void> {
    await this.#passkeyManager.stop();
    await endAll(this.#ends);
  }
}

interface Running {
  readonly env: NodeJS.ProcessEnv;
  readonly ends: (() => Promise<unknown>)[];
  readonly passkeyManager: PasskeyManagerProcess;
}

const stored = (session: CDPSession, authenticatorId: string) =>
  session.send('WebAuthn.getCredentials', { authenticatorId });

export type StoredPasskey = Awaited<ReturnType<typeof stored>>['credentials'][number];

/** The passkey device that Chromium's DevTools protocol provides: it keeps discoverable passkeys and verifies its user. */
export class Device {
  readonly #session: CDPSession;
  readonly #authenticatorId: string;

  private constructor(session: CDPSession, authenticatorId: string) {
    this.#session = session;
    this.#authenticatorId = authenticatorId;
  }

  static async plugIn(session: CDPSession, transport: 'internal' | 'usb' = 'internal'): Promise<Device> {
    await session.send('WebAuthn.enable');
    const { authenticatorId } = await session.send('WebAuthn.addVirtualAuthenticator', {
      options: {
        protocol: 'ctap2',
        transport,
        hasResidentKey: true,
        hasUserVerification: true,
        isUserVerified: true,
        automaticPresenceSimulation: true,
      },
    });
    return new Device(session, authenticatorId);
  }

  /** Replaces the device by another one. */
  async replace(transport: 'internal' | 'usb'): Promise<Device> {
    await this.#session.send('WebAuthn.removeVirtualAuthenticator', { authenticatorId: this.#authenticatorId });
    return Device.plugIn(this.#session, transport);
  }

  /** Decides whether the user confirms at the device, at once, or not at all. */
  async confirm(enabled: boolean): Promise<void> {
    await this.#session.send('WebAuthn.setAutomaticPresenceSimulation', {
      authenticatorId: this.#authenticatorId,
      enabled,
    });
  }

  async passkeys(): Promise<StoredPasskey[]> {
    const { credentials } = await stored(this.#session, this.#authenticatorId);
    return credentials;
  }

  async restore(credential: StoredPasskey): Promise<void> {
    await this.#session.send('WebAuthn.addCredential', { authenticatorId: this.#authenticatorId, credential });
  }

  async clear(): Promise<void> {
    await this.#session.send('WebAuthn.clearCredentials', { authenticatorId: this.#authenticatorId });
  }

  /** Resolves when the browser has made the device delete a passkey. */
  deletion(): Promise<unknown> {
    return new Promise((resolve) => this.#session.once('WebAuthn.credentialDeleted', resolve));
  }
}

/** Runs in the page, and hides autofill from it if a test asks for that. */
function withoutAutofillWhenAsked(): void {
  if (!sessionStorage.getItem('without-autofill')) return;
  PublicKeyCredential.isConditionalMediationAvailable = () => Promise.resolve(false);
}

function connectAs(identity: string, url: string, dataDir: string): PasskeyManager {
  const file = (name: string) => join(dataDir, 'pki', name);
  const [certFile, keyFile] = [file(`${identity}.crt`), file(`${identity}.key`)];
  return new PasskeyManager({ url, certFile, keyFile, caFile: file('ca.crt') });
}

async function allowOrigin(origin: string, url: string, dataDir: string): Promise<void> {
  const operator = connectAs('operator', url, dataDir);
  try {
    await operator.putRelyingParty('localhost', { name: 'Browser test', origins: [origin] });
  } finally {
    operator.close();
  }
}

/** Finds free ports, and holds each until all are known, so that they differ. */
export async function findFreePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => new Promise((resolve) => server.once('listening', resolve))));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

async function endAll(ends: (() => Promise<unknown>)[]): Promise<void> {
  for (const end of ends.splice(0).reverse()) await end();
}
