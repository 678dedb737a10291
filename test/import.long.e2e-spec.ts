import { request } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { Authenticator } from './support/authenticator/authenticator.js';
import { encodeLines, type ImportAnswer, movePasskey, readAnswer } from './support/imports.js';
import { TestService } from './support/service.js';

const RP = 'login.example.com';
/** The time that node:http gives any other request to arrive is 15 s. */
const PAUSE = 9_000;

let service: TestService;
beforeAll(async () => {
  service = await TestService.start();
  await service.relyingParty(RP);
});
afterAll(() => service.stop());

/** @param send writes lines, and may leave the request open */
function importSlowly(send: (write: (user: string) => void) => Promise<boolean>): Promise<ImportAnswer> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(service.running.httpsUrl);
    const outgoing = request({
      ...{ hostname, port, method: 'POST', path: `/v1/credentials/import?rpId=${RP}`, agent: false },
      ...{ ...service.certificateOf('operator'), ca: service.pki.ca },
      headers: { 'content-type': 'application/x-ndjson' },
    });
    outgoing.on('error', reject).on('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (piece: string) => (text += piece));
      response.on('end', () => {
        resolve(readAnswer(text));
      });
    });
    const write = (user: string): void =>
      void outgoing.write(encodeLines([movePasskey(new Authenticator(), RP, user)]));
    send(write).then((isWhole) => isWhole && outgoing.end(), reject);
  });
}

it('an import may take longer than any other request', async () => {
  const { summary } = await importSlowly(async (write) => {
    for (const user of ['a', 'b', 'c', 'd']) {
      write(user);
      await sleep(PAUSE);
    }
    return true;
  });
  expect(summary).toMatchObject({ complete: true, counts: { imported: 4 } });
}, 60_000);

it('an import whose caller falls silent ends, and says where to go on', async () => {
  const { summary } = await importSlowly((write) => {
    write('e');
    return Promise.resolve(false);
  });
  const problem = { type: 'urn:passkey-manager:problem:request-malformed' };
  expect(summary).toMatchObject({ complete: false, nextLine: 2, counts: { imported: 1 }, problem });
}, 60_000);
