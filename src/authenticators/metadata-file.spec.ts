import { mkdir, mkdtemp, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { FakeAudit } from '../../test/support/fake-audit.js';
import { FakeClock } from '../../test/support/fake-clock.js';
import { dayFromNow, MetadataAuthority } from '../../test/support/metadata-blob.js';
import { ConfigError } from '../config/config.js';
import { Metrics } from '../telemetry/metrics.js';
import { AuthenticatorsService } from './authenticators.service.js';
import { MAX_BLOB_BYTES } from './metadata-blob.js';
import { MetadataFile } from './metadata-file.js';

const AAGUID = '2fc0579f-8113-47ea-b116-bb5a8db9202a';
const authority = await MetadataAuthority.create();
const signer = await authority.signer();
const clock = new FakeClock();
Logger.overrideLogger(false);

let directory: string;
let path: string;
let audit: FakeAudit;
let metrics: Metrics;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'passkey-manager-mds-'));
  path = join(directory, 'blob.jwt');
  clock.reset();
  [audit, metrics] = [new FakeAudit(), new Metrics()];
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const signBlob = (no: number, description = `Model of ${String(no)}`): string =>
  signer.blob({ no, entries: [{ aaguid: AAGUID, metadataStatement: { description } }] });

async function openMetadata(metadataBlobFile: string | undefined = path): Promise<MetadataFile> {
  const file = new MetadataFile({ metadataBlobFile }, [authority.rootPem], clock, metrics, audit.service);
  await file.onModuleInit();
  return file;
}

const readReloads = async () => (await metrics.reloads.get()).values;

const findName = (file: MetadataFile): string | undefined => new AuthenticatorsService(file).findLabel(AAGUID)?.name;

describe('the file of FIDO metadata', () => {
  it('is optional', async () => {
    const file = new MetadataFile({ metadataBlobFile: undefined }, [], clock, metrics, audit.service);
    await file.onModuleInit();
    expect([file.describeState(), file.findModel(AAGUID)]).toEqual([undefined, undefined]);
  });

  it('is read at boot', async () => {
    await writeFile(path, signBlob(3));
    const file = await openMetadata();
    expect(findName(file)).toBe('Model of 3');
    expect(file.describeState()).toMatchObject({ no: 3, stale: false, refused: undefined });
    expect(file.describeState()?.ageSeconds).toBeLessThan(60);
  });

  it.each(['', 'text that is not a JWS'])('stops the boot with %j', async (content) => {
    await writeFile(path, content);
    await expect(openMetadata()).rejects.toThrow(ConfigError);
    await expect(openMetadata()).rejects.toThrow('PASSKEY_MDS_BLOB_FILE: the file is not a JWS');
  });

  it('stops the boot when it does not exist', async () => {
    await expect(openMetadata()).rejects.toThrow('ENOENT');
  });

  it('stops the boot when it has more than 64 MiB, without being read', async () => {
    await writeFile(path, '');
    await truncate(path, MAX_BLOB_BYTES + 1);
    await expect(openMetadata()).rejects.toThrow('larger than 67108864 bytes');
  });

  it('says how much of it could not be read, and gives the rest', async () => {
    await writeFile(path, signer.blob({ no: 1, entries: [{ aaguid: 'x' }, { aaguid: AAGUID, statusReports: [{}] }] }));
    const file = await openMetadata();
    expect(file.describeState()).toMatchObject({ no: 1, skipped: 2 });
    expect(file.findModel(AAGUID)).toBeDefined();
    await writeFile(path, signBlob(2));
    await file.reload();
    expect(file.describeState()).toMatchObject({ no: 2, skipped: 0 });
    expect(audit.entries).toMatchObject([{ type: 'metadata.reload', facts: { serial: 2, skipped: 0 } }]);
  });

  it('is stale after the day of nextUpdate', async () => {
    await writeFile(path, signer.blob({ nextUpdate: dayFromNow(2) }));
    const file = await openMetadata();
    clock.advance(86_400);
    expect(file.describeState()?.stale).toBe(false);
    clock.advance(2 * 86_400);
    expect(file.describeState()).toMatchObject({ stale: true, no: 1 });
  });

  describe('that changes', () => {
    it.each<[string, (next: string) => Promise<void>]>([
      ['in place', (next) => writeFile(path, next)],
      [
        'by a rename over it',
        async (next) => {
          await writeFile(`${path}.new`, next);
          await rename(`${path}.new`, path);
        },
      ],
    ])('is loaded when it changes %s', async (_, change) => {
      await writeFile(path, signBlob(1));
      const file = await openMetadata();
      await change(signBlob(2));
      await file.reload();
      expect(findName(file)).toBe('Model of 2');
      expect(audit.entries).toMatchObject([
        { type: 'metadata.reload', outcome: 'success', facts: { serial: 2, previous_serial: 1 } },
      ]);
      expect(await readReloads()).toEqual([{ labels: { resource: 'metadata', outcome: 'success' }, value: 1 }]);
    });

    it('is loaded through a symbolic link to another directory, as in Kubernetes', async () => {
      for (const no of [1, 2]) {
        await mkdir(join(directory, `..v${String(no)}`));
        await writeFile(join(directory, `..v${String(no)}`, 'blob.jwt'), signBlob(no));
      }
      await symlink('..v1', join(directory, '..data'));
      await symlink('..data/blob.jwt', path);
      const file = await openMetadata();
      await symlink('..v2', join(directory, '..data_tmp'));
      await rename(join(directory, '..data_tmp'), join(directory, '..data'));
      await file.reload();
      expect(file.describeState()?.no).toBe(2);
    });

    it.each<[string, () => Promise<void>, string]>([
      ['a lower no', () => writeFile(path, signBlob(4)), 'its no 4 is not higher than 5'],
      ['the same no with other content', () => writeFile(path, signBlob(5, 'Other')), 'its no 5 is not higher than 5'],
      ['half a file', () => writeFile(path, signBlob(6).slice(0, -10)), 'the signature is not valid'],
      ['no file', () => rm(path), 'ENOENT'],
      ['a directory', () => rm(path).then(() => mkdir(path)), 'is not a file'],
    ])('is refused and reported when it changes to %s', async (_, change, refused) => {
      await writeFile(path, signBlob(5));
      const file = await openMetadata();
      await change();
      await file.reload();
      expect(file.describeState()?.refused).toBeUndefined();
      await file.reload();
      expect(findName(file)).toBe('Model of 5');
      expect(file.describeState()).toMatchObject({ no: 5, refused: expect.stringContaining(refused) });
      expect(audit.entries).toMatchObject([
        { type: 'metadata.reload', outcome: 'failure', detail: expect.stringContaining(refused) },
      ]);
      expect(await readReloads()).toEqual([{ labels: { resource: 'metadata', outcome: 'failure' }, value: 1 }]);
    });

    it('clears the report when it returns to the current content', async () => {
      await writeFile(path, signBlob(5));
      const file = await openMetadata();
      await writeFile(path, 'no JWS');
      await file.reload();
      await file.reload();
      await writeFile(path, signBlob(6));
      await file.reload();
      expect(file.describeState()).toMatchObject({ no: 6, refused: undefined });
      await rm(path);
      await file.reload();
      await writeFile(path, 'no JWS');
      await file.reload();
      await file.reload();
      expect(file.describeState()?.refused).toBe('the file is not a JWS');
    });

    it('is in the metrics, with its serial number', async () => {
      await writeFile(path, signer.blob({ no: 8, nextUpdate: '2026-12-01' }));
      await openMetadata();
      const [nextUpdate, info] = [await metrics.metadataNextUpdate.get(), await metrics.metadataInfo.get()];
      expect(nextUpdate.values).toEqual([{ labels: {}, value: Date.UTC(2026, 11, 1) / 1_000 }]);
      expect(info.values).toEqual([{ labels: { serial: 8 }, value: 1 }]);
    });

    it('stays loaded when only its time changes', async () => {
      const content = signBlob(5);
      await writeFile(path, content);
      const file = await openMetadata();
      await writeFile(path, content);
      await file.reload();
      expect(file.describeState()).toMatchObject({ no: 5, refused: undefined });
    });
  });
});
