import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import axe from 'axe-core';
import pg from 'pg';
import { chromium, type Browser, type Page } from 'playwright-core';
import { PasskeyManager } from '@passkey-manager/client';
import { launchPasskeyManager, type PasskeyManagerProcess } from '../../examples/auth-service/launch.ts';
import { CHROMIUM_ARGUMENTS, CHROMIUM_PATH } from './stage.ts';

const CONSOLE = fileURLToPath(new URL('../../dist/commands/console.js', import.meta.url));
export const WIDE = { width: 1280, height: 800 };
export const NARROW = { width: 390, height: 844 };

/** The real service with its own database, and a browser in which people open consoles. */
export class ConsoleStage {
  readonly dataDir: string;
  readonly service: PasskeyManagerProcess;
  readonly #browser: Browser;
  readonly #ends: (() => Promise<unknown>)[];

  private constructor(
    dataDir: string,
    service: PasskeyManagerProcess,
    browser: Browser,
    ends: (() => Promise<unknown>)[],
  ) {
    this.dataDir = dataDir;
    this.service = service;
    this.#browser = browser;
    this.#ends = ends;
  }

  static async set(): Promise<ConsoleStage> {
    const dataDir = await mkdtemp(join(tmpdir(), 'passkey-manager-console-'));
    const ends: (() => Promise<unknown>)[] = [() => rm(dataDir, { recursive: true, force: true })];
    try {
      const service = await launchPasskeyManager({
        ...process.env,
        PASSKEY_DATA_DIR: dataDir,
        PASSKEY_HTTPS_PORT: '0',
        PASSKEY_MANAGEMENT_PORT: '0',
      });
      ends.push(() => service.stop());
      const browser = await chromium.launch({ executablePath: CHROMIUM_PATH, args: CHROMIUM_ARGUMENTS });
      ends.push(() => browser.close());
      return new ConsoleStage(dataDir, service, browser, ends);
    } catch (error) {
      await endAll(ends);
      throw error;
    }
  }

  /** Starts a console as somebody, and opens it in a browser of its own. */
  async open(as: string, viewport = WIDE): Promise<OpenConsole> {
    const file = (name: string) => join(this.dataDir, 'pki', name);
    const { url, managementUrl } = this.service;
    const files = ['--cert', file(`${as}.crt`), '--cert-key', file(`${as}.key`), '--ca', file('ca.crt')];
    const args = [CONSOLE, '--url', url, ...files, '--management', managementUrl];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#ends.push(() => end(child));
    const address = await readAddress(child);
    const context = await this.#browser.newContext({ viewport, timezoneId: 'Europe/Berlin' });
    const page = await context.newPage();
    page.setDefaultTimeout(15_000);
    const faults = new Set<string>();
    page.on('pageerror', (error) => faults.add(error.message));
    page.on('console', (message) => {
      // A refusal of the service is an answer that the page shows.
      const { url } = message.location();
      if (message.type() === 'error' && !url.includes('/api/')) faults.add(`${message.text()} (${url})`);
    });
    await page.goto(address);
    return new OpenConsole(page, address, faults);
  }

  /** Returns a client of the service, which ends with the stage. */
  connectAs(identity: string): PasskeyManager {
    const file = (name: string) => join(this.dataDir, 'pki', name);
    const files = { certFile: file(`${identity}.crt`), keyFile: file(`${identity}.key`), caFile: file('ca.crt') };
    const client = new PasskeyManager({ url: this.service.url, ...files });
    this.#ends.push(() => {
      client.close();
      return Promise.resolve();
    });
    return client;
  }

  /** Runs SQL as a superuser, without the service's knowledge. */
  async sql<Row extends pg.QueryResultRow>(text: string, values: unknown[] = []): Promise<Row[]> {
    const home = join(this.dataDir, 'postgres');
    const password = (await readFile(join(home, 'password'), 'utf8')).trim();
    const port = Number((await readFile(join(home, 'data', 'postmaster.pid'), 'utf8')).split('\n')[3]);
    const client = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', password, database: 'passkey_manager' });
    await client.connect();
    const { rows } = await client.query<Row>(text, values).finally(() => client.end());
    return rows;
  }

  async strike(): Promise<void> {
    await endAll(this.#ends);
  }
}

/** A console that somebody has open. */
export class OpenConsole {
  readonly page: Page;
  /** The address that the console printed, and that the page has spent. */
  readonly address: string;
  readonly #faults: ReadonlySet<string>;

  constructor(page: Page, address: string, faults: ReadonlySet<string>) {
    [this.page, this.address, this.#faults] = [page, address, faults];
  }

  /** The errors in the browser, such as a breach of the content security policy. */
  get faults(): string[] {
    return [...this.#faults];
  }

  get origin(): string {
    return new URL(this.address).origin;
  }

  /** Goes to a view, and waits for its heading. */
  async go(path: string, heading: string | RegExp): Promise<void> {
    await this.page.goto(`${this.origin}/#/${path}`);
    await this.page.getByRole('heading', { level: 1, name: heading }).waitFor();
  }

  async chooseColours(theme: 'Light' | 'Dark' | 'As the system'): Promise<void> {
    await this.page.getByLabel('Colours').selectOption(theme);
  }

  /** What axe-core finds on the page as it is, one line for each element. */
  async findBarriers(): Promise<string[]> {
    // The content security policy lets no script into the page, so the tool comes by the protocol of the browser.
    await this.page.evaluate(axe.source);
    const { violations } = await this.page.evaluate(() => (window as unknown as { axe: typeof axe }).axe.run());
    return violations.flatMap(({ id, nodes }) =>
      nodes.map(({ target, failureSummary }) => `${id} ${target.join(' ')}: ${failureSummary ?? ''}`),
    );
  }

  /** Lists the elements that reach beyond the right edge of the screen, except in what scrolls of its own. */
  findOverflow(): Promise<string[]> {
    return this.page.evaluate(() => {
      const { scrollWidth, clientWidth } = document.documentElement;
      return scrollWidth > clientWidth ? [`the page is ${String(scrollWidth)} px wide on ${String(clientWidth)}`] : [];
    });
  }
}

async function readAddress(child: ChildProcess): Promise<string> {
  let output = '';
  for await (const chunk of child.stdout! as AsyncIterable<Buffer>) {
    output += chunk.toString();
    const [address] = /http:\/\/127\.0\.0\.1:\S+/.exec(output) ?? [];
    if (address !== undefined) return address;
  }
  throw new Error(`the console ended: ${output}`);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}

async function endAll(ends: (() => Promise<unknown>)[]): Promise<void> {
  for (const end of ends.splice(0).reverse()) await end();
}
