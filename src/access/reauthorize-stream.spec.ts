import { once } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import { NoLongerAuthorized, reauthorizeStream } from './reauthorize-stream.js';

const BYTES = 100_000;

async function* yieldParts(read: number[]): AsyncGenerator<Buffer> {
  for (let part = 1; part <= 5; part += 1) {
    read.push(part);
    yield await Promise.resolve(Buffer.alloc(BYTES, String(part)));
  }
}

async function takeAnswer(welcomeUntil: number): Promise<{ received: string; read: number[]; error: unknown }> {
  const read: number[] = [];
  let received = '';
  let asked = 0;
  const isAuthorized = (): Promise<boolean> => Promise.resolve((asked += 1) <= welcomeUntil);
  try {
    for await (const piece of reauthorizeStream(yieldParts(read), isAuthorized)) received += String(piece);
  } catch (error) {
    return { received, read, error };
  }
  return { received, read, error: undefined };
}

describe('a long answer', () => {
  it('reaches a caller whole while its permission lasts', async () => {
    const { received, error } = await takeAnswer(5);
    expect(error).toBeUndefined();
    expect(received).toBe(['1', '2', '3', '4', '5'].map((part) => part.repeat(BYTES)).join(''));
  });

  it.each([0, 1, 4])(
    'ends after %i parts when the caller loses its permission, and reads no further',
    async (welcomeUntil) => {
      const { received, read, error } = await takeAnswer(welcomeUntil);
      expect(received.length).toBeLessThanOrEqual(welcomeUntil * BYTES);
      expect(read).toHaveLength(welcomeUntil + 1);
      expect(error).toBeInstanceOf(NoLongerAuthorized);
    },
  );

  it('ends when the caller loses its permission, though the caller reads nothing', async () => {
    let welcome = true;
    const read: number[] = [];
    const stream = reauthorizeStream(yieldParts(read), () => Promise.resolve(welcome));
    stream.read(0);
    await new Promise(setImmediate);
    welcome = false;
    const [error] = (await once(stream, 'error')) as unknown[];
    expect(error).toBeInstanceOf(NoLongerAuthorized);
    expect(read).toEqual([1]);
  });

  it('is made no faster than the caller reads it', async () => {
    const read: number[] = [];
    const stream = reauthorizeStream(yieldParts(read), () => Promise.resolve(true));
    stream.read(0);
    for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
    expect(read).toEqual([1]);
    stream.destroy();
  });
});
