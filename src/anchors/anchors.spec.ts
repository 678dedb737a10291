import { execFileSync } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { until } from '../../test/support/until.js';
import { readNotes } from '../tlog/checkpoint-trail.js';
import { Anchor, type AnchoredCheckpoint, type AnchorTiming } from './anchors.js';
import { AnchorFile, type AnchorTarget, AnchorUrl } from './anchor-targets.js';

const TIMING: AnchorTiming = { backoffMs: 20, maxBackoffMs: 40, timeoutMs: 3_600_000 };
/** For targets that hang. */
const IMPATIENT: AnchorTiming = { ...TIMING, timeoutMs: 100 };

const createCheckpoint = (size: number): AnchoredCheckpoint => ({
  size,
  note: `origin\n${String(size)}\nroot\n\n\u2014 origin c2lnbmF0dXJl\n`,
  createdAt: new Date(size * 1_000),
});

Logger.overrideLogger(false);

let anchors: Anchor[];
let anchored: number[];
beforeEach(() => {
  [anchors, anchored] = [[], []];
});
afterEach(() => Promise.all(anchors.map((anchor) => anchor.close())));

function createAnchor(target: AnchorTarget, timing = TIMING): Anchor {
  const anchor = new Anchor(target, ({ size }) => anchored.push(size), timing);
  anchors.push(anchor);
  return anchor;
}

describe('an anchor by HTTP', () => {
  let server: Server;
  let url: string;
  let received: string[];
  let answer: number | 'hang';
  beforeEach(async () => {
    [received, answer] = [[], 204];
    server = createServer((request, response) => {
      void request.toArray().then((chunks) => {
        if (answer === 'hang') return;
        if (answer < 300) received.push(Buffer.concat(chunks as Buffer[]).toString());
        response.writeHead(answer, { location: '/elsewhere' }).end('thanks');
      });
    });
    await listen(0);
  });
  afterEach(async () => {
    await stopServer();
  });

  async function listen(port: number): Promise<void> {
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/notes`;
  }

  async function stopServer(): Promise<void> {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }

  it('sends each larger checkpoint once', async () => {
    const anchor = createAnchor(new AnchorUrl(url));
    for (const size of [1, 2, 2, 1, 3]) {
      anchor.push(createCheckpoint(size));
      await until(() => anchored.includes(size));
    }
    expect(received).toEqual([1, 2, 3].map((size) => createCheckpoint(size).note));
    expect([anchored, anchor.failure]).toEqual([[1, 2, 3], undefined]);
  });

  it.each([500, 403, 302, 'hang'] as const)(
    'reports that the receiver fails (%s), and sends the newest checkpoint when it is back',
    async (how) => {
      answer = how;
      const anchor = createAnchor(new AnchorUrl(url), how === 'hang' ? IMPATIENT : TIMING);
      for (const size of [1, 2, 3]) anchor.push(createCheckpoint(size));
      expect(anchor.failure).toBeUndefined();
      await until(() => anchor.failure !== undefined);
      anchor.push(createCheckpoint(4));
      expect([received, anchored]).toEqual([[], []]);
      answer = 200;
      await until(() => anchored.includes(4));
      // A try with the third may be under way when the receiver is back.
      const sent = new Set(received);
      sent.delete(createCheckpoint(3).note);
      expect([[...sent], anchor.failure]).toEqual([[createCheckpoint(4).note], undefined]);
    },
  );

  it('sends the checkpoint when an unreachable receiver is back', async () => {
    const port = Number(new URL(url).port);
    await stopServer();
    const anchor = createAnchor(new AnchorUrl(url));
    anchor.push(createCheckpoint(1));
    await until(() => anchor.failure !== undefined);
    expect(anchor.failure).toMatch(/ECONNREFUSED/);
    await listen(port);
    await until(() => anchored.length > 0);
    expect(received).toEqual([createCheckpoint(1).note]);
  });

  it('does not delay the service’s stop', async () => {
    answer = 'hang';
    const anchor = new Anchor(new AnchorUrl(url), () => undefined, TIMING);
    anchor.push(createCheckpoint(1));
    await anchor.close();
  });
});

describe('an anchor by file', () => {
  let directory: string;
  let path: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'passkey-anchor-'));
    path = join(directory, 'notes');
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  async function readFileNotes(): Promise<string[]> {
    const read: string[] = [];
    for await (const note of readNotes(createReadStream(path))) read.push(note);
    return read;
  }

  it('appends each checkpoint to the file', async () => {
    for (const size of [1, 2, 3]) {
      const anchor = createAnchor(new AnchorFile(path));
      anchor.push(createCheckpoint(size));
      await until(() => anchored.includes(size));
    }
    expect(await readFileNotes()).toEqual([1, 2, 3].map((size) => createCheckpoint(size).note));
  });

  it('reports that the file cannot be written, and writes the newest checkpoint when it can', async () => {
    await rm(directory, { recursive: true });
    const anchor = createAnchor(new AnchorFile(path));
    for (const size of [1, 2]) anchor.push(createCheckpoint(size));
    await until(() => anchor.failure !== undefined);
    expect(anchor.failure).toMatch(/ENOENT/);
    await mkdir(directory);
    await until(() => anchored.length > 0);
    expect(await readFileNotes()).toEqual([createCheckpoint(2).note]);
  });

  it('reports that a named pipe in place of the file has no reader, and does not wait for one', async () => {
    execFileSync('mkfifo', [path]);
    const anchor = createAnchor(new AnchorFile(path));
    anchor.push(createCheckpoint(1));
    await until(() => anchor.failure !== undefined);
    expect(anchor.failure).toMatch(/ENXIO/);
  });
});

describe('an anchor', () => {
  it('reports a destination that never finishes, and does not wait for it', async () => {
    const anchor = createAnchor({ name: 'file', deliver: () => new Promise<void>(() => undefined) }, IMPATIENT);
    anchor.push(createCheckpoint(1));
    await until(() => anchor.failure !== undefined);
    expect(anchor.failure).toBe('the delivery does not end');
  });
});
