import { type AddressInfo, createServer, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';
import { describeDatabase } from '../../commands/inventory/database.js';
import { createDataSourceOptions, createCeremonyPool } from './data-source.js';
import { runRoleScript } from './role-scripts.js';

/** Encodes a message of the PostgreSQL protocol: its type, its length including these four bytes, its body. */
function encodeMessage(type: string, body: string): Buffer {
  const bytes = Buffer.alloc(5 + body.length);
  bytes.write(type);
  bytes.writeInt32BE(4 + body.length, 1);
  bytes.write(body, 5);
  return bytes;
}

const AUTHENTICATION_OK = encodeMessage('R', '\0\0\0\0');
const READY_FOR_QUERY = encodeMessage('Z', 'I');
const POSTMASTER_EXIT = 'terminating connection due to unexpected postmaster exit';
const FATAL = encodeMessage('E', `SFATAL\0VFATAL\0C57P01\0M${POSTMASTER_EXIT}\0\0`);

/** A server that dies while a session begins. All its messages arrive in one piece. */
let dying: Server;
let url: string;
beforeAll(async () => {
  dying = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => socket.end(Buffer.concat([AUTHENTICATION_OK, READY_FOR_QUERY, FATAL])));
  });
  await new Promise<void>((resolve) => dying.listen(0, '127.0.0.1', resolve));
  url = `postgresql://role:password@127.0.0.1:${String((dying.address() as AddressInfo).port)}/database`;
});
afterAll(() => new Promise((resolve) => dying.close(resolve)));

/** An unhandled error ends the process, in a test as in the service. */
describe('a database that ends as a session begins', () => {
  it('fails the statement, and leaves the process alive', async () => {
    await expect(new DataSource(createDataSourceOptions(url)).initialize()).rejects.toThrow();
  });

  it('fails the hot statement, and leaves the process alive', async () => {
    const pool = createCeremonyPool(url);
    await expect(pool.query('SELECT 1')).rejects.toThrow();
    await pool.end();
  });

  it('fails a role script, and leaves the process alive', async () => {
    await expect(runRoleScript('grants.sql', url)).rejects.toThrow();
  });

  it('is reported in the inventory as unreachable, and leaves the process alive', async () => {
    expect((await describeDatabase(url)).agreed).toMatch(/^no connection/);
  });
});
