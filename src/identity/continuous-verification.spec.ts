import 'reflect-metadata';
import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Issued } from '../../test/support/authenticator/certificate-chain.js';
import { FakeListenerTrust } from '../../test/support/fake-listener-trust.js';
import { makeRevocationList, readSerial } from '../../test/support/revocation-lists.js';
import { issueAuthority, issueCaller } from '../../test/support/trust-files.js';
import type { Connection } from './connections.js';
import { ContinuousVerification } from './continuous-verification.js';
import type { Lists } from './select-lists.js';
import { parseRevocationLists } from '../x509/revocation-list.js';
import { parseSvid, SvidError } from '../x509/svid.js';

const START = new Date(Math.floor(Date.now() / 1_000) * 1_000);
const MINUTE_MS = 60_000;
const at = (minutes: number): Date => new Date(START.getTime() + minutes * MINUTE_MS);

let root: Issued;
let peer: Issued;
let now: Date;
let trust: FakeListenerTrust;
let verification: ContinuousVerification;
beforeAll(async () => {
  root = await issueAuthority();
  peer = await issueCaller(root, { notBefore: at(-60), notAfter: at(600) });
});
beforeEach(async () => {
  now = START;
  trust = new FakeListenerTrust(3, await material());
  verification = new ContinuousVerification(trust.service, { now: () => now });
});

async function material(serials: string[] = [], nextUpdate = at(90), by = root): Promise<Lists> {
  const revocationLists = await parseRevocationLists(
    makeRevocationList(by, { serials, thisUpdate: at(-90), nextUpdate }),
  );
  return { authorities: [by.certificate], revocationLists };
}

function connection(members: Partial<Connection> = {}, issued = peer): Connection {
  return {
    caller: parseSvid(issued.certificate.raw, 'bank.example'),
    chain: [issued.certificate, root.certificate],
    beganAt: START.getTime(),
    endsAt: at(15).getTime(),
    excess: false,
    epoch: 3,
    trustedUntil: 0,
    draining: false,
    ...members,
  };
}

const verify = (it: Connection) => verification.verify(it);

const WELCOME = { caller: { spiffeId: 'spiffe://bank.example/auth-service' }, last: false };
const LAST = { ...WELCOME, last: true };
const refused = (refusal: string) => ({ caller: WELCOME.caller, refusal });

describe('on every request', () => {
  it('a caller with a good certificate is accepted', async () => {
    const live = connection();
    for (let requests = 0; requests < 3; requests += 1) expect(await verify(live)).toMatchObject(WELCOME);
  });

  it('a caller without an X.509-SVID is refused, and stays unidentified', async () => {
    const standing = await verify(connection({ caller: new SvidError('it has two names') }));
    expect(standing).toEqual({ refusal: 'it has two names' });
  });

  it.each([
    [-60, true],
    [-61, false],
    [600, true],
    [601, false],
  ])('the certificate must be valid, from its first moment to its last (minute %p: %p)', async (minute, valid) => {
    trust.material = await material([], at(1_000));
    now = at(minute);
    const standing = await verify(connection());
    if (valid) expect(standing).not.toHaveProperty('refusal');
    else expect(standing).toMatchObject(refused('the certificate is not valid now'));
  });

  it('the revocation list of its authority must be valid, though nothing was reloaded', async () => {
    const live = connection({ endsAt: at(500).getTime() });
    expect(await verify(live)).toMatchObject(WELCOME);
    expect(live.trustedUntil).toBe(at(90).getTime());
    now = at(90);
    expect(await verify(live)).toMatchObject(WELCOME);
    now = at(90.001);
    expect(await verify(live)).toMatchObject(refused('the revocation list has ended'));
  });

  it('the current trust store decides, already at the first request', async () => {
    trust.material = await material([], at(-1));
    expect(await verify(connection())).toMatchObject(refused('the revocation list has ended'));
    trust.material = await material([], at(90), await issueAuthority());
    expect(await verify(connection())).toMatchObject(refused('the certificate’s authority has no revocation list'));
    trust.material = await material([readSerial(peer)]);
    expect(await verify(connection())).toMatchObject(refused('the certificate was revoked'));
  });

  it('the certificates of its path must still be valid, though nothing was reloaded', async () => {
    const between = await issueAuthority({ subject: 'CN=Between', notAfter: at(30) }, root);
    const issued = await issueCaller(between, { notBefore: at(-60), notAfter: at(600) });
    const lists = await Promise.all([root, between].map((by) => material([], at(90), by)));
    trust.material = { ...lists[0]!, revocationLists: lists.flatMap(({ revocationLists }) => revocationLists) };
    const chain = [issued.certificate, between.certificate, root.certificate];
    const live = connection({ chain, endsAt: at(500).getTime() }, issued);
    expect(await verify(live)).toMatchObject(WELCOME);
    now = at(30.1);
    expect(await verify(live)).toHaveProperty('refusal', expect.stringContaining('no longer trusted'));
  });

  it('a trusted path is not checked again before it ends', async () => {
    const live = connection();
    await verify(live);
    trust.material = await material([readSerial(peer)]);
    expect(await verify(live)).toMatchObject(WELCOME);
  });
});

describe('a connection that grows old', () => {
  it.each([
    [14.999, false],
    [15, true],
    [16, true],
  ])('gets its last answer at the age of %p minutes: %p', async (minutes, last) => {
    const live = connection();
    await verify(live);
    now = at(minutes);
    expect(await verify(live)).toMatchObject({ ...WELCOME, last });
  });

  it('gets its last answer when the clock went back before its beginning', async () => {
    now = at(-0.001);
    expect(await verify(connection())).toMatchObject(LAST);
  });
});

describe('after the trust store was replaced', () => {
  async function reloaded(lists: Lists): Promise<Connection> {
    const live = connection();
    expect(await verify(live)).toMatchObject(WELCOME);
    trust.reload(lists);
    return live;
  }

  it('a caller that is still accepted gets one more answer, and answers to the requests that it already sent', async () => {
    const live = await reloaded(await material());
    expect(await verify(live)).toMatchObject(LAST);
    expect([live.epoch, live.draining]).toEqual([4, true]);
    expect(await verify(live)).toMatchObject(LAST);
  });

  it('a revoked caller is refused, however often it asks', async () => {
    const live = await reloaded(await material([readSerial(peer)]));
    for (let requests = 0; requests < 2; requests += 1) {
      expect(await verify(live)).toMatchObject(refused('the certificate was revoked'));
    }
    expect(live).toMatchObject({ epoch: 3, draining: false });
  });

  it('a caller whose authority was removed is refused', async () => {
    const live = await reloaded(await material([], at(90), await issueAuthority({ subject: 'CN=Other' })));
    const standing = await verify(live);
    expect(standing).toMatchObject(refused('the certificate is no longer trusted: it does not end in a known root'));
  });

  it('a connection whose handshake began before is verified too, at its first request', async () => {
    trust.material = await material([readSerial(peer)]);
    expect(await verify(connection({ epoch: 2 }))).toMatchObject(refused('the certificate was revoked'));
    trust.material = await material();
    expect(await verify(connection({ epoch: 2 }))).toMatchObject(LAST);
  });

  it('the authority must still be in the trust store, not only its revocation list, which a file may still hold', async () => {
    const other = await material([], at(90), await issueAuthority({ subject: 'CN=Other' }));
    const { revocationLists } = await material();
    trust.material = { ...other, revocationLists: [...other.revocationLists, ...revocationLists] };
    const standing = await verify(connection({ epoch: 2 }));
    expect(standing).toMatchObject(refused('the certificate is no longer trusted: it does not end in a known root'));
  });

  it('a connection that began later is not drained', async () => {
    trust.reload(await material());
    expect(await verify(connection({ epoch: 4 }))).toMatchObject(WELCOME);
  });

  it('while a request was verified, the next request is verified again', async () => {
    const live = connection({ epoch: 2 });
    const verifying = verify(live);
    trust.reload(await material([readSerial(peer)]));
    expect(await verifying).toMatchObject(LAST);
    expect(live.epoch).toBe(3);
    expect(await verify(live)).toMatchObject(refused('the certificate was revoked'));
  });

  it('requests that are verified at the same time agree', async () => {
    const live = await reloaded(await material());
    expect(await Promise.all([verify(live), verify(live)])).toMatchObject([LAST, LAST]);
  });
});
