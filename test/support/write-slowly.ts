import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const PART = 65_536;

/** Writes in parts, so that the peer can answer and close before the end. @throws the socket's error */
export async function writeSlowly(socket: Socket, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length; at += PART) {
    await new Promise<void>((resolve, reject) => {
      socket.write(bytes.subarray(at, at + PART), (error) => {
        if (error) reject(error);
        else resolve();
      });
    });
    await sleep(2);
  }
}
