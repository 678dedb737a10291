import 'reflect-metadata';
import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import type { Issued } from '../../test/support/authenticator/certificate-chain.js';
import { FakeAudit } from '../../test/support/fake-audit.js';
import { makeRevocationList, readSerial } from '../../test/support/revocation-lists.js';
import {
  issueAuthority,
  issueCaller,
  exportKey,
  issueServer as serverCertificate,
  TrustFiles,
} from '../../test/support/trust-files.js';
import { until } from '../../test/support/until.js';
import { WatchedFiles } from '../config/watched-files.js';
import { Metrics } from '../telemetry/metrics.js';
import { describeTrust, ListenerTrust } from './listener-trust.js';
import { createTlsOptions } from './tls-options.js';
import { readTrustMaterial, listTrustFiles, type TrustMaterial } from './trust-material.js';

Logger.overrideLogger(false);

let files: TrustFiles;
let watched: WatchedFiles<TrustMaterial>;
let audit: FakeAudit;
let metrics: Metrics;
let trust: ListenerTrust;
let server: Server;
beforeEach(async () => {
  files = await TrustFiles.create();
  watched = await WatchedFiles.open<TrustMaterial>(listTrustFiles(files.files), (held) =>
    readTrustMaterial(files.files, new Date(), held),
  );
  audit = new FakeAudit();
  metrics = new Metrics();
  trust = new ListenerTrust(watched, audit.service, metrics, {});
  server = createServer(createTlsOptions(trust.material.context), (_, response) => response.end('hello'));
  await once(server.listen(0, '127.0.0.1'), 'listening');
});
afterEach(async () => {
  await trust.onModuleDestroy();
  await new Promise((resolve) => server.close(resolve));
  files.remove();
});

/** Takes the present content of the files, as the watch would. */
async function reload(): Promise<void> {
  const before = trust.epoch;
  const failures = audit.entries.length;
  await until(() => trust.epoch !== before || audit.entries.length > failures);
}

/** Returns the subject of the server's certificate, or `refused`. */
function handshake(peer: Issued, root = files.root): Promise<string> {
  return new Promise((resolve) => {
    const { port } = server.address() as AddressInfo;
    const client = connect({ port, servername: 'localhost', ca: root.pem, cert: peer.pem, key: exportKey(peer) });
    client.on('data', () => {
      resolve(String(client.getPeerCertificate().subject.CN));
      client.destroy();
    });
    client
      .on('error', () => undefined)
      .on('close', () => {
        resolve('refused');
      });
    client.write('GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n');
  });
}

const readValue = async (metric: { get(): Promise<{ values: { labels: object; value: number }[] }> }, labels = {}) =>
  (await metric.get()).values.find((value) => JSON.stringify(value.labels) === JSON.stringify(labels))?.value;

describe('the trust store', () => {
  it('has the content of the files, as epoch 1', async () => {
    expect([trust.epoch, trust.material, trust.refused]).toEqual([1, watched.value, undefined]);
    expect(await readValue(metrics.trustStoreEpoch)).toBe(1);
    expect(await readValue(metrics.reloads, { resource: 'trust-store', outcome: 'success' })).toBeUndefined();
  });

  it('is in the metrics with its ends, the earliest of each kind', async () => {
    const early = new Date('2090-01-02T03:04:05Z');
    const late = new Date('2091-01-02T03:04:05Z');
    const [one, two] = [
      await issueAuthority({ notAfter: late }),
      await issueAuthority({ subject: 'CN=Two', notAfter: early }),
    ];
    const lists = makeRevocationList(one, { nextUpdate: late }) + makeRevocationList(two, { nextUpdate: early });
    const own = await serverCertificate(one, { notAfter: late });
    files.write('ca.crt', one.pem + two.pem);
    files.write('ca.crl', lists);
    files.write('server.crt', own.pem);
    files.write('server.key', exportKey(own));
    new ListenerTrust(
      { value: await readTrustMaterial(files.files, new Date()) } as typeof watched,
      audit.service,
      metrics,
      {},
    );
    for (const [file, end] of [
      ['certificate', late],
      ['ca', early],
      ['crl', early],
    ] as const) {
      expect(await readValue(metrics.certificateExpiry, { file })).toBe(end.getTime() / 1_000);
    }
  });

  it('is shown to auditors without a key', () => {
    const facts = describeTrust(trust.material);
    expect(facts).toEqual({
      digest: trust.material.digest,
      certificate: {
        fingerprint: files.server.certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
        not_after: files.server.certificate.validToDate.toISOString(),
      },
      authorities: [expect.stringMatching(/^[0-9a-f]{64}$/)],
      revocation_lists: [{ number: '1', this_update: expect.any(String), next_update: expect.any(String), revoked: 0 }],
    });
  });
});

describe('a reload', () => {
  beforeEach(() => {
    trust.attachTo(server);
  });

  it('takes effect at the next handshake, raises the epoch and is recorded', async () => {
    const peer = await issueCaller(files.root);
    const digest = trust.material.digest;
    expect(await handshake(peer)).toBe('localhost');
    files.revoke({ number: 2, serials: [readSerial(peer)] });
    await reload();
    expect(await handshake(peer)).toBe('refused');
    expect(await handshake(await issueCaller(files.root))).toBe('localhost');
    expect([trust.epoch, await readValue(metrics.trustStoreEpoch)]).toEqual([2, 2]);
    expect(await readValue(metrics.reloads, { resource: 'trust-store', outcome: 'success' })).toBe(1);
    const facts = { epoch: 2, previous_digest: digest, ...describeTrust(trust.material) };
    expect(audit.entries).toEqual([{ type: 'trust.reload', outcome: 'success', facts }]);
  });

  it('accepts another certificate, key, authority and list at once', async () => {
    const root = await issueAuthority({ subject: 'CN=Next' });
    const own = await serverCertificate(root, { subject: 'CN=next-server' });
    const former = await issueCaller(files.root);
    files.write('server.crt', own.pem);
    files.write('server.key', exportKey(own));
    files.write('ca.crt', root.pem);
    files.write('ca.crl', makeRevocationList(root));
    await reload();
    expect(await handshake(await issueCaller(root), root)).toBe('next-server');
    expect(await handshake(former, root)).toBe('refused');
  });

  it('of files that cannot be used changes nothing, and the refusal is reported', async () => {
    const peer = await issueCaller(files.root);
    files.write('ca.crl', 'no list');
    await reload();
    expect(await handshake(peer)).toBe('localhost');
    const detail = 'PASSKEY_TLS_CRL_FILE: holds no revocation list (PEM)';
    expect([trust.epoch, trust.refused]).toEqual([1, detail]);
    const facts = { epoch: 1 };
    expect(audit.entries).toEqual([{ type: 'trust.reload', outcome: 'failure', reason: 'unusable', detail, facts }]);
    expect(await readValue(metrics.reloads, { resource: 'trust-store', outcome: 'failure' })).toBe(1);
  });

  it('that OpenSSL refuses changes nothing either', async () => {
    files.revoke({ number: 2, serials: ['0001'] });
    await reload();
    expect([trust.epoch, trust.material.revocationLists[0]?.number]).toEqual([1, 1n]);
    expect(trust.refused).toMatch(/^PASSKEY_TLS_CERT_FILE, _KEY_FILE, _CA_FILE, _CRL_FILE: .*Failed to parse CRL/);
    expect(audit.entries).toMatchObject([{ outcome: 'failure', detail: trust.refused }]);
    expect(await handshake(await issueCaller(files.root))).toBe('localhost');
  });

  it('is refused in no more than 500 characters', async () => {
    const long = await issueAuthority({
      subject: `CN=${'a'.repeat(60)},${Array.from({ length: 12 }, (_, i) => `OU=${'b'.repeat(60)}${String(i)}`).join(',')}`,
    });
    files.write('ca.crt', files.root.pem + long.pem);
    await reload();
    expect((audit.entries[0] as { detail: string }).detail).toHaveLength(500);
  });

  it('no longer happens when the service stops', async () => {
    await trust.onModuleDestroy();
    files.revoke({ number: 2 });
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    expect([trust.epoch, audit.entries]).toEqual([1, []]);
  });
});
