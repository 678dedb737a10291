import assert from 'node:assert/strict';
import { verify } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { openTokenKey, readTokenMaster } from '../../src/pkcs11/token.js';
import { TokenError } from '../../src/pkcs11/token-uri.js';
import { listPrograms, SoftToken } from './soft-token.js';

const MESSAGE = Buffer.from('a checkpoint');

await describe('A key in a token', async () => {
  let token: SoftToken;
  before(async () => {
    token = await SoftToken.create();
    process.env['SOFTHSM2_CONF'] = token.env['SOFTHSM2_CONF'];
    await token.makeKeyPair('audit', 'EC:edwards25519', '01');
    await token.makeKeyPair('p256', 'EC:prime256v1', '02');
    await token.makeSecret('binding', '03', '--sensitive');
    await token.makeSecret('another', '04', '--sensitive');
    await token.makeSecret('open', '05', '--extractable');
  });
  after(() => token.destroy());

  await it('signs, and its public key verifies the signature', async () => {
    const key = openTokenKey(token.uri('audit'));
    const signature = await key.sign(MESSAGE);
    assert.equal(verify(null, MESSAGE, key.publicKey, signature), true);
    const point = key.publicKey.export({ format: 'raw-public' }).toString('hex');
    assert.equal(await token.readEd25519Point(), `0420${point}`);
  });

  await it('may be named by its id', async () => {
    const uri = token.uri('audit').replace('object=audit', 'id=%01');
    const [byId, byLabel] = [openTokenKey(uri), openTokenKey(token.uri('audit'))];
    assert.equal(byId.publicKey.equals(byLabel.publicKey), true);
    await byId.sign(MESSAGE);
  });

  await it('signs any number of messages at once, each its own', async () => {
    const key = openTokenKey(token.uri('audit'));
    const messages = Array.from({ length: 50 }, (_, index) => Buffer.from(`checkpoint ${String(index)}`));
    const signatures = await Promise.all(messages.map((message) => key.sign(message)));
    for (const [index, message] of messages.entries()) {
      assert.equal(verify(null, message, key.publicKey, signatures[index]!), true);
    }
  });

  await it('gives the same secret each time, and another one for another key', () => {
    const [one, again, other] = ['binding', 'binding', 'another'].map((object) => readTokenMaster(token.uri(object)));
    assert.deepEqual(one, again);
    assert.notDeepEqual(one, other);
    assert.equal(one?.length, 32);
  });

  const refusals: readonly [string, (uri: SoftToken) => string, RegExp][] = [
    ['is not there', (on) => on.uri('nobody'), /^the private key "nobody" of the token "passkeys" is not there$/],
    ['has a token that is not there', (on) => on.uri('audit', { token: 'x' }), /^no token has the label "x"$/],
    ['has another algorithm', (on) => on.uri('p256'), /^the private key "p256" of the token "passkeys" is not an Ed/],
    ['has no module', (on) => on.uri('audit', { module: '/no.so' }), /^the PKCS#11 module \/no\.so cannot be loaded$/],
    ['has a module that is none', (on) => on.uri('audit', { module: on.path('pin') }), /pin cannot be loaded$/],
    ['has no file of the PIN', (on) => on.uri('audit', { pin: '/no' }), /^the file of the PIN, \/no, cannot be read$/],
  ];
  for (const [name, makeUri, reason] of refusals) {
    await it(`that ${name} is refused with a sentence`, () => {
      assert.throws(
        () => openTokenKey(makeUri(token)),
        (error: Error) => error instanceof TokenError && reason.test(error.message),
      );
    });
  }

  await it('that can leave its token is refused', () => {
    assert.throws(() => readTokenMaster(token.uri('open')), /"open" of the token "passkeys" can leave the token/);
  });

  await it('does not open with another PIN, and the refusal does not repeat it', async () => {
    const pin = await token.write('wrong', '999999');
    assert.throws(
      () => openTokenKey(token.uri('audit', { pin })),
      ({ message }: Error) =>
        message === `the token "passkeys" refuses the PIN in ${pin} (CKR_PIN_INCORRECT)` && !message.includes('999999'),
    );
  });

  await it('signs again after the program that holds its module was killed', async () => {
    const key = openTokenKey(token.uri('audit'));
    const earlier = listPrograms(process.pid);
    await key.sign(MESSAGE);
    const [started, ...others] = listPrograms(process.pid).filter((pid) => !earlier.includes(pid));
    assert.deepEqual(others, []);
    process.kill(started!, 'SIGSTOP');
    const waiting = assert.rejects(key.sign(MESSAGE), /ended before it answered/);
    process.kill(started!, 'SIGKILL');
    await waiting;
    assert.equal(verify(null, MESSAGE, key.publicKey, await key.sign(MESSAGE)), true);
  });

  await it('that hangs fails, and signs again', async () => {
    const key = openTokenKey(token.uri('audit'));
    const earlier = listPrograms(process.pid);
    await key.sign(MESSAGE);
    const [started] = listPrograms(process.pid).filter((pid) => !earlier.includes(pid));
    process.kill(started!, 'SIGSTOP');
    await assert.rejects(key.sign(MESSAGE), /ended before it answered/);
    assert.equal(listPrograms(process.pid).includes(started!), false);
    await key.sign(MESSAGE);
  });

  await it('fails while its token is away, and signs once it is back', async () => {
    const key = openTokenKey(token.uri('audit'));
    await token.remove();
    await assert.rejects(key.sign(MESSAGE), TokenError);
    await assert.rejects(key.sign(MESSAGE), TokenError);
    await token.putBack();
    await key.sign(MESSAGE);
  });

  await it('tries no PIN again that the token has refused, because more tries would lock it', async () => {
    const key = openTokenKey(token.uri('audit'));
    await writeFile(token.path('pin'), '999999');
    await assert.rejects(key.sign(MESSAGE), /refuses the PIN/);
    await token.restorePin();
    await assert.rejects(key.sign(MESSAGE), /refuses the PIN .*; restart the service/);
    await openTokenKey(token.uri('audit')).sign(MESSAGE);
  });
});
