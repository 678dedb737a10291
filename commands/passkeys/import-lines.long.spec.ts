import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import type { RequestListener, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { prepareDevelopment } from '../../dev/prepare-development.js';
import { MAX_LINE_BYTES } from '../../src/portability/credential-line.js';
import { Pki } from '../../test/support/pki.js';
import { ServiceCaller } from '../service/service-caller.js';
import { importLines, ImportRefusal, type LineVerdict } from './import-lines.js';
import { formatEnd, formatHeader } from '../../src/portability/export-frame.js';
import type { ImportedExport } from '../../src/portability/import-frame.js';

let directory: string;
let pki: Pki;
let server: Server | undefined;
let caller: ServiceCaller | undefined;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'passkeys-import-'));
  await prepareDevelopment(directory);
  pki = new Pki(join(directory, 'pki'));
});
afterEach(() => {
  caller?.close();
  server?.closeAllConnections();
  server?.close();
});
afterAll(() => rm(directory, { recursive: true, force: true }));

interface Asked {
  readonly firstLine: number;
  readonly lines: readonly string[];
  readonly query: string;
}
type Answerer = (asked: Asked, answer: ServerResponse, call: number) => void | Promise<void>;

/** A service that answers requests as it is told to, over mutual TLS. */
async function serveStream(listener: RequestListener): Promise<{ readonly url: URL }> {
  server = createServer({ ...pki.certificateOf('server'), ca: pki.ca, requestCert: true }, listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: new URL(`https://localhost:${String((server.address() as AddressInfo).port)}`) };
}

/** A service that answers an import when it has the whole body. */
async function serve(answerer: Answerer): Promise<{ readonly url: URL; readonly asked: Asked[] }> {
  const asked: Asked[] = [];
  const { url } = await serveStream((incoming, answer) => {
    const { searchParams } = new URL(incoming.url ?? '', 'https://localhost');
    void text(incoming).then(async (body) => {
      const lines = body.split('\n').slice(0, -1);
      asked.push({ firstLine: Number(searchParams.get('firstLine')), lines, query: searchParams.toString() });
      await answerer(asked.at(-1)!, answer, asked.length);
    });
  });
  return { url, asked };
}

/** Writes the verdicts of some lines of a slice. */
function tell({ firstLine, lines }: Asked, answer: ServerResponse, count = lines.length): void {
  answer.setHeader('content-type', 'application/x-ndjson');
  for (const index of Array.from({ length: count }).keys())
    if (lines[index] !== '')
      answer.write(`${JSON.stringify({ line: firstLine + index, credentialId: lines[index], verdict: 'imported' })}\n`);
}

/** Answers a slice as the service does. */
const tellAll: Answerer = (asked, answer) => {
  tell(asked, answer);
  answer.end('{"counts":{},"complete":true}\n');
};

const breakOff = async (answer: ServerResponse): Promise<void> => {
  await new Promise((resolve) => answer.write('', resolve));
  answer.destroy();
};

async function* chunksOf(content: string): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(content);
  for (let at = 0; at < bytes.length; at += 1_000) yield await Promise.resolve(bytes.subarray(at, at + 1_000));
}

function openCaller(url: URL): ServiceCaller {
  const { cert, key } = pki.certificateOf('operator');
  caller = new ServiceCaller(url, { cert: Buffer.from(cert), key: Buffer.from(key), ca: Buffer.from(pki.ca) });
  return caller;
}

async function send(url: URL, content: string, { dryRun = false, firstLine = 1 } = {}) {
  const [verdicts, retries, exports]: [LineVerdict[], string[], ImportedExport[]] = [[], [], []];
  const options = {
    ...{ rpId: 'a.example', dryRun, firstLine },
    onRetry: (reason: string) => retries.push(reason),
    onExport: (found: ImportedExport) => exports.push(found),
  };
  for await (const verdict of importLines(openCaller(url), chunksOf(content), options)) verdicts.push(verdict);
  return { verdicts, retries, exports };
}

const namesOf = (count: number): string[] => Array.from({ length: count }, (_, index) => `l${String(index + 1)}`);

describe('an import', () => {
  it('is one request, in which the service learns the number of the first line', async () => {
    const { url, asked } = await serve(tellAll);
    const names = namesOf(4_500);
    const { verdicts } = await send(url, names.join('\n'));
    expect(verdicts.map(({ line, credentialId }) => [line, credentialId])).toEqual(
      names.map((name, index) => [index + 1, name]),
    );
    expect(asked.map(({ query, lines }) => [query, lines.length])).toEqual([['rpId=a.example&firstLine=1', 4_500]]);
  });

  it('passes over the lines before the first one, empty lines, and those that frame an export', async () => {
    const { url, asked } = await serve(tellAll);
    const content = '{"kind":"header"}\nl2\r\n\nl4\n{"kind":"left-out"}\nl6\nl7\n{"kind":"end"}\n';
    expect((await send(url, content, { dryRun: true })).verdicts.map(({ line }) => line)).toEqual([2, 4, 6, 7]);
    expect((await send(url, content, { firstLine: 7 })).verdicts.map(({ credentialId }) => credentialId)).toEqual([
      'l7',
    ]);
    expect(asked.map(({ query, lines }) => [query, lines])).toEqual([
      ['rpId=a.example&firstLine=1&dryRun=true', ['', 'l2', '', 'l4', '', 'l6', 'l7', '']],
      ['rpId=a.example&firstLine=7', ['l7', '']],
    ]);
    expect((await send(url, '{"kind":"header"}\n\n')).verdicts).toEqual([]);
    expect(asked).toHaveLength(2);
  });

  it('tells whether the lines are a whole export, wherever it goes on', async () => {
    const { url } = await serve(tellAll);
    const before = formatHeader({
      rpId: 'a.example',
      deployment: 'd',
      exportedAt: '2026-03-01T09:59:00.000Z',
      exportId: 'e',
    });
    const body = `${before}{"id":"l1"}\n{"id":"l2"}\n`;
    const digest = createHash('sha256').update(body).digest('base64url');
    const whole = body + formatEnd({ count: 2, leftOut: 0, digest, signature: 's' });
    for (const firstLine of [1, 2]) {
      const stateOf = async (content: string): Promise<unknown> => (await send(url, content, { firstLine })).exports;
      expect(await stateOf(whole)).toEqual([{ state: 'whole' }]);
      expect(await stateOf(body)).toMatchObject([{ state: 'cut-off' }]);
      expect(await stateOf(whole.replace('"l2"', '"l9"'))).toMatchObject([{ state: 'altered' }]);
      expect(await stateOf('l1\nl2\n')).toEqual([]);
    }
  });

  it('cuts a line that is too long, so that the service refuses that line', async () => {
    const { url, asked } = await serve(tellAll);
    await send(url, `l1\n${'x'.repeat(3 * MAX_LINE_BYTES)}\nl3\n`);
    expect(asked[0]!.lines.map(({ length }) => length)).toEqual([2, MAX_LINE_BYTES + 2, 2]);
  });

  it('sends lines again from the first one that the service could not store', async () => {
    const { url, asked } = await serve((slice, answer, call) => {
      if (call > 1) return tellAll(slice, answer, call);
      tell(slice, answer, 1);
      answer.write('{"line":2,"credentialId":"l2","verdict":"unavailable"}\n');
      answer.write('{"line":3,"credentialId":"l3","verdict":"imported"}\n');
      answer.end('{"complete":false,"problem":{"status":503,"title":"Unavailable"}}\n');
    });
    const { verdicts, retries } = await send(url, 'l1\nl2\nl3\n');
    expect(verdicts.map(({ line }) => line)).toEqual([1, 2, 3]);
    expect([asked.map(({ firstLine }) => firstLine), retries]).toEqual([[1, 2], ['503 Unavailable']]);
  });

  it('ends with the problem that ends the answer', async () => {
    const { url } = await serve((slice, answer) => {
      tell(slice, answer, 1);
      answer.end('{"complete":false,"problem":{"status":403,"title":"Denied"}}\n');
    });
    await expect(send(url, 'l1\nl2\n')).rejects.toThrow(new ImportRefusal('403 Denied'));
  });

  it('goes on after the last verdict when the connection breaks, and gives each verdict once', async () => {
    const { url, asked } = await serve(async (slice, answer, call) => {
      if (call > 2) return tellAll(slice, answer, call);
      tell(slice, answer, call === 1 ? 3 : 0);
      return breakOff(answer);
    });
    const { verdicts, retries } = await send(url, namesOf(5).join('\n'));
    expect(verdicts.map(({ line }) => line)).toEqual([1, 2, 3, 4, 5]);
    expect(asked.map(({ firstLine }) => firstLine)).toEqual([1, 4, 4]);
    expect(retries).toHaveLength(2);
  });

  it.each([429, 503])('waits as long as the answer %d says', async (status) => {
    const { url, asked } = await serve((slice, answer, call) => {
      if (call > 1) return tellAll(slice, answer, call);
      answer
        .writeHead(status, { 'retry-after': '0', 'content-type': 'application/problem+json' })
        .end('{"title":"Busy"}');
    });
    const { verdicts, retries } = await send(url, 'l1\n');
    expect([verdicts.length, retries, asked.length]).toEqual([1, [`${String(status)} Busy`], 2]);
  });

  it('ends with the problem when the service refuses it', async () => {
    const { url, asked } = await serve((_, answer) => {
      const problem = { type: 'urn:passkey-manager:problem:permission-denied', title: 'Denied', status: 403 };
      answer.writeHead(403, { 'content-type': 'application/problem+json' }).end(JSON.stringify(problem));
    });
    await expect(send(url, 'l1\n')).rejects.toThrow(new ImportRefusal('403 permission-denied Denied'));
    expect(asked).toHaveLength(1);
  });

  it('ends when the service says that it is done, and has left lines out', async () => {
    const { url, asked } = await serve((_, answer) => void answer.end('{"complete":true}\n'));
    await expect(send(url, 'l1\n')).rejects.toThrow('the answer has no verdict for line 1');
    expect(asked).toHaveLength(2);
  });

  it('takes the verdicts while it sends, and holds few lines', async () => {
    let [open, most] = [0, 0];
    const { url } = await serveStream((incoming, answer) => {
      answer.writeHead(200, { 'content-type': 'application/x-ndjson' });
      let line = 0;
      incoming.on('data', (chunk: Buffer) => {
        const count = chunk.toString('latin1').split('\n').length - 1;
        for (let index = 0; index < count; index += 1)
          answer.write(`{"line":${String((line += 1))},"verdict":"exists"}\n`);
      });
      incoming.on('end', () => answer.end('{"complete":true}\n'));
    });
    const pad = 'x'.repeat(1_000);
    async function* many(): AsyncGenerator<Buffer> {
      for (let index = 0; index < 20_000; index += 1) {
        most = Math.max(most, (open += 1));
        yield await Promise.resolve(Buffer.from(`${pad}\n`));
      }
    }
    const told = importLines(openCaller(url), many(), {
      rpId: 'a',
      dryRun: false,
      firstLine: 1,
      onRetry: () => undefined,
      onExport: () => undefined,
    });
    let verdicts = 0;
    for await (const { line } of told) {
      open -= 1;
      expect(line).toBe((verdicts += 1));
    }
    expect(verdicts).toBe(20_000);
    expect(most * pad.length).toBeLessThan(2 ** 23);
  });

  it('gives up soon where nobody answers', async () => {
    const { url } = await serve(tellAll);
    server!.close();
    await expect(send(url, 'l1\n')).rejects.toThrow('ECONNREFUSED');
  });
});
