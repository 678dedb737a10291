import { execFile } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from '@jest/globals';
import ts from 'typescript';
import { SampleLog } from '../../test/support/sample-log.js';
import { formatVerifierKey } from './keys.js';
import { makeInclusionProof } from './proofs.js';

const FOLDER = 'src/tlog';
const FILES = globSync(`${FOLDER}/*.ts`).filter((file) => !file.endsWith('.spec.ts'));
/** Everything outside the folder that a file may import. */
const ALLOWED = ['canonicalize', 'node:buffer', 'node:crypto'];

const folder = mkdtempSync(join(tmpdir(), 'tlog-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

function write(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

/** Takes the program from the README and lets it import the library from where it is. */
function writeExample(): string {
  const [, program] = /```ts\n(.*?)```/s.exec(readFileSync(`${FOLDER}/README.md`, 'utf8'))!;
  return write(
    'example.ts',
    program!.replace(/'\.\/([\w-]+)\.js'/g, (_, name: string) => {
      return `'${pathToFileURL(resolve(FOLDER, `${name}.ts`)).href}'`;
    }),
  );
}

describe('the library', () => {
  it.each(FILES)('imports nothing of the server: %s', (file) => {
    const imports = ts.preProcessFile(readFileSync(file, 'utf8')).importedFiles.map(({ fileName }) => fileName);
    const foreign = imports.filter((name) => !/^\.\/[\w-]+\.js$/.test(name) && !ALLOWED.includes(name));
    expect(foreign).toEqual([]);
  });

  it('verifies a checkpoint, an event and an export with the program of its README', async () => {
    const log = new SampleLog(300);
    const checkpoint = await log.makeCheckpoint(300);
    const lines = await log.export(0, 300, checkpoint, 300);
    const [hash, proof] = [log.leaves[7]!, await makeInclusionProof(log.reader, 7, 300)];
    const toText = (bytes: Buffer): string => bytes.toString('base64url');
    const document = { leafIndex: 7, leafHash: toText(hash), treeSize: 300, proof: proof.map(toText), checkpoint };
    const files = [
      write('audit.pub', SampleLog.SIGNERS.map(({ key }) => `${formatVerifierKey(key)}\n`).join('')),
      write('checkpoint.txt', checkpoint),
      write('export.ndjson', lines.join('')),
      write('event.json', lines[7]!),
      write('proof.json', JSON.stringify(document)),
    ];
    const loader = pathToFileURL(resolve('test/support/typescript-resolution.mjs')).href;
    const { stdout } = await promisify(execFile)(process.execPath, ['--import', loader, writeExample(), ...files]);
    expect(stdout.split('\n')).toEqual([
      'passkey-manager/test has signed 300 leaves',
      'the event is leaf 7',
      'the export holds leaves 0 to 300, 300 of them with their events',
      '',
    ]);
  });
});
