import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { DataSource } from 'typeorm';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.js';
import { openToRead } from '../database-login.js';
import { describeClocks } from './clocks.js';

const BIN = mkdtempSync(join(tmpdir(), 'clocks-'));
const { PATH } = process.env;
let database: TestDatabase;
let dataSource: DataSource;

beforeAll(async () => {
  database = await createTestDatabase();
  dataSource = await openToRead({ url: database.auditorUrl, passwordFile: undefined }, []);
});
afterAll(async () => {
  await dataSource.destroy();
  await database.drop();
  rmSync(BIN, { recursive: true });
});
afterEach(() => {
  process.env['PATH'] = PATH;
  for (const name of ['chronyc', 'timedatectl']) rmSync(join(BIN, name), { force: true });
});

/** Puts a program before those of the machine, which prints a text. */
function install(name: string, text: string, code = 0): void {
  const path = join(BIN, name);
  writeFileSync(path, `#!/bin/sh\necho '${text}'\nexit ${String(code)}\n`);
  chmodSync(path, 0o755);
  process.env['PATH'] = `${BIN}${delimiter}${PATH ?? ''}`;
}

interface Clocks {
  readonly offsetFromDatabase: { readonly milliseconds: number; readonly uncertainty: number };
  readonly timeSource: { readonly program: string; readonly synchronized: boolean } | null;
}

const CHRONY = 'C0000201,192.0.2.1,2,1790000000.1,-0.000012,0.00002,0.00003,-1.2,0.001,0.02,0.004,0.0006,64.2,';

describe('the clocks', () => {
  it('of this machine and of a database on it are together', async () => {
    const { content, open } = await describeClocks(dataSource);
    const { offsetFromDatabase } = content as Clocks;
    expect(Math.abs(offsetFromDatabase.milliseconds)).toBeLessThanOrEqual(offsetFromDatabase.uncertainty + 1);
    expect(offsetFromDatabase.uncertainty).toBeLessThan(500);
    expect(open.filter((sentence) => sentence.includes('apart'))).toEqual([]);
  });

  it('have a source, which chronyc tells', async () => {
    install('chronyc', `${CHRONY}Normal`);
    const { content, open } = await describeClocks(dataSource);
    expect(content).toMatchObject({
      timeSource: {
        program: 'chronyc tracking',
        synchronized: true,
        facts: { 'reference of the clock': '192.0.2.1', stratum: '2', 'leap status': 'Normal' },
      },
    });
    expect(open).toEqual([]);
  });

  it.each([
    ['chronyc', `${CHRONY}Not synchronised`, 'chronyc tracking'],
    ['timedatectl', 'NTPSynchronized=no', 'timedatectl'],
  ])('are a question when %s says that nothing sets them', async (name, text, program) => {
    install('chronyc', '', 1);
    install(name, text);
    const { open } = await describeClocks(dataSource);
    expect(open).toEqual([`${program} says that the clock of this machine is not synchronized (10.6.1).`]);
  });

  it('are a question when nothing tells what sets them', async () => {
    install('chronyc', '506 Cannot talk to daemon', 1);
    install('timedatectl', 'System has not been booted with systemd', 1);
    const { content, open } = await describeClocks(dataSource);
    expect((content as Clocks).timeSource).toBeNull();
    expect(open).toEqual([expect.stringMatching(/^The time source is not visible from here/)]);
  });
});
