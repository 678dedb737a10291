import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { Authenticator } from '../support/authenticator/authenticator.js';
import { issueByStranger } from '../support/pki.js';
import { ServiceProcess } from '../support/service-process.js';
import { AuthService } from './auth-service.ts';

const run = promisify(execFile);
const CLIENT = join(import.meta.dirname, '../../clients/typescript');
const ORIGIN = 'http://localhost:3000';

const { devDependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as {
  devDependencies: Record<string, string>;
};
/** The oldest Node.js that the package supports, and the one that runs the service. */
const NODE = { 22: '22.23.3', 26: devDependencies['node']! };

await describe('the package, in a project of its own', async () => {
  let directory: string;
  let service: ServiceProcess;
  let packed: string[];
  let pki: string;
  const bin = (name: string) => join(directory, 'node_modules', name);
  const tsc = (...parameters: string[]) =>
    run(process.execPath, [bin('typescript/bin/tsc'), ...parameters], { cwd: directory }).catch((error: unknown) => {
      assert.fail((error as { stdout: string }).stdout);
    });

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'passkey-manager-package-'));
    const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', directory], {
      cwd: CLIENT,
    });
    const [tarball] = Object.values(
      JSON.parse(stdout) as Record<string, { filename: string; files: { path: string }[] }>,
    );
    packed = tarball!.files.map(({ path }) => path);
    const manifest = { private: true, type: 'module', allowScripts: { node22: true, node26: true, node: true } };
    writeFileSync(join(directory, 'package.json'), JSON.stringify(manifest));
    const pinned = ['typescript', '@simplewebauthn/browser'].map((name) => `${name}@${devDependencies[name]!}`);
    const nodes = Object.entries(NODE).map(([major, version]) => `node${major}@npm:node@${version}`);
    const installed = [`./${tarball!.filename}`, '@types/node@22', ...pinned, ...nodes];
    await run('npm', ['install', '--no-audit', '--no-fund', '--save-exact', ...installed], { cwd: directory });
    cpSync(join(import.meta.dirname, 'consumer'), directory, { recursive: true });
    service = await ServiceProcess.start(join(directory, 'data'));
    pki = join(directory, 'data/pki');
  });
  after(async () => {
    await service.stop();
    await rm(directory, { recursive: true, force: true });
  });

  await it('holds what is built, its licence and its changes, and depends on jose alone', () => {
    const others = packed.filter((path) => !/^dist\/[a-z-]+\.(?:js|d\.ts)$/.test(path));
    assert.deepEqual(others.toSorted(), ['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json']);
    const manifest = JSON.parse(readFileSync(bin('@passkey-manager/client/package.json'), 'utf8')) as {
      dependencies: object;
    };
    assert.deepEqual(Object.keys(manifest.dependencies), ['jose']);
  });

  await it('is no change of the repository', () => {
    assert.match(readFileSync('.gitignore', 'utf8'), /^\*\.tgz$/m);
  });

  await it('type-checks strictly without lib.dom', async () => {
    await tsc('-p', 'tsconfig.json');
  });

  await it('type-checks strictly with lib.dom, whose types it fits without a cast', async () => {
    await tsc('-p', 'tsconfig.dom.json');
  });

  await it('type-checks the examples of its README strictly', async () => {
    const readme = readFileSync(bin('@passkey-manager/client/README.md'), 'utf8');
    const [first = '', ...others] = [...readme.matchAll(/^( *)```ts\n(.*?)^\1```$/gms)].map(([, , code = '']) => code);
    const [imports = '', construction = '', signIn = ''] = first.split(/^(?=const )/m);
    assert.equal(others.length, 4);
    const examples = [signIn, ...others].map((code, n) => `export async function example${String(n)}() {\n${code}}\n`);
    const surroundings = `
      import { followSignals, makeErasureSignals, type PublicKeyCredentialJSON, ReceiptError, verifyReceipt } from '@passkey-manager/client';
      declare const response: PublicKeyCredentialJSON, userId: string, rpId: string, receipt: string;
      declare const user: { id: string; name: string; email: string }, session: { identifiedAt: Date };
      declare const log: { warn(entry: unknown): void };
      declare function startSession(userId: string, credentialId: string): void;
      declare function showPasskey(credentialId: string, name: string): void;
      declare function tryAgain(): void;
      declare const ending: AbortSignal;
      declare function endSessionsOfRevokedPasskeys(userId: string): Promise<void>;
      declare function tellTheBrowser(signal: object): void;\n`;
    writeFileSync(join(directory, 'readme.ts'), [imports, surroundings, construction, ...examples].join('\n'));
    const config = { extends: './tsconfig.json', compilerOptions: { noEmit: true }, files: ['readme.ts'] };
    writeFileSync(join(directory, 'tsconfig.readme.json'), JSON.stringify(config));
    await tsc('-p', 'tsconfig.readme.json');
  });

  for (const [major, version] of Object.entries(NODE)) {
    await it(`registers a passkey and signs in with it, which a receipt proves, on Node.js ${major}`, async () => {
      const authService = await AuthService.start(bin(`node${major}/bin/node`), directory, service.url, pki);
      try {
        assert.equal(authService.version, `v${version}`);
        const authenticator = new Authenticator();
        const options = await authService.post('/register/options');
        const registered = await authService.post('/register', authenticator.create(options as never, ORIGIN));
        assert.equal(registered['userId'], 'ada', JSON.stringify(registered));
        const request = await authService.post('/sign-in/options');
        const response = authenticator.get(request as never, ORIGIN);
        assert.deepEqual(await authService.post('/sign-in', response), registered);
        assert.deepEqual(await authService.post('/sign-in', response), { slug: 'request-malformed' });
      } finally {
        await authService.stop();
      }
    });

    await it(`tells that the service refuses its certificate, or is away, on Node.js ${major}`, async () => {
      const foreign = await mkdtemp(join(directory, 'foreign-'));
      const { cert, key } = await issueByStranger();
      writeFileSync(join(foreign, 'auth-service.crt'), cert);
      writeFileSync(join(foreign, 'auth-service.key'), key);
      cpSync(join(pki, 'ca.crt'), join(foreign, 'ca.crt'));
      for (const [url, files, code] of [
        [service.url, foreign, 'client-certificate-refused'],
        ['https://127.0.0.1:1', pki, 'connection-refused'],
      ] as const) {
        const authService = await AuthService.start(bin(`node${major}/bin/node`), directory, url, files);
        try {
          assert.equal((await authService.post('/sign-in/options'))['code'], code);
        } finally {
          await authService.stop();
        }
      }
    });
  }
});
