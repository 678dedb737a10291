import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { answerUnparsable } from './unparsable-request.js';

let server: Server;
beforeAll(async () => {
  server = createServer({ maxHeaderSize: 16_384, connectionsCheckingInterval: 20 }, (_request, response) => {
    response.end('parsed');
  });
  server.requestTimeout = 60;
  server.headersTimeout = 60;
  server.on('clientError', answerUnparsable);
  await once(server.listen(0, '127.0.0.1'), 'listening');
});
afterAll(() => {
  server.close();
});

/** Everything that the server answers before it closes the connection. */
async function answerTo(text: string): Promise<{ head: string; body: Record<string, unknown> }> {
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1').on('error', () => undefined);
  let answer = '';
  socket.setEncoding('utf8').on('data', (part: string) => (answer += part));
  socket.write(text);
  await once(socket, 'close');
  const [head = '', body = ''] = answer.split('\r\n\r\n');
  expect(head).toContain(`content-length: ${String(Buffer.byteLength(body))}`);
  return { head, body: JSON.parse(body) as Record<string, unknown> };
}

describe('what the HTTP parser cannot read', () => {
  it.each([
    ['text', 'hello\r\n\r\n'],
    ['a TLS handshake', '\x16\x03\x01\x02\x00\x01\x00\r\n\r\n'],
    ['a bad header', 'GET / HTTP/1.1\r\nhost localhost\r\n\r\n'],
    ['two lengths', 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab'],
    ['a length and chunks', 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['a header that begins with white space', 'GET / HTTP/1.1\r\n x: y\r\nhost: a\r\n\r\n'],
  ])('is answered as a problem: %s', async (_, text) => {
    const { head, body } = await answerTo(text);
    expect(head).toMatch(/^HTTP\/1\.1 400 Bad Request\r\ncontent-type: application\/problem\+json/);
    expect(head).toContain('connection: close');
    expect(body).toMatchObject({
      ...{ type: 'urn:passkey-manager:problem:request-malformed', status: 400 },
      invalid: [{ pointer: '', detail: 'it is not HTTP/1.1' }],
      instance: expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
  }); // prettier-ignore

  it('is too large when its headers are', async () => {
    const { head, body } = await answerTo(`GET / HTTP/1.1\r\nhost: a\r\nx: ${'a'.repeat(20_000)}\r\n\r\n`);
    expect(head).toMatch(/^HTTP\/1\.1 413 Content Too Large/);
    expect(body).toMatchObject({ type: 'urn:passkey-manager:problem:request-too-large', status: 413 });
  });

  it('is too late when it does not arrive in time', async () => {
    const { body } = await answerTo('GET / HTTP/1.1\r\nhost: a\r\n');
    expect(body).toMatchObject({ invalid: [{ detail: 'the request did not arrive in time' }] });
  });

  it('is not answered where nobody listens any more', () => {
    const socket = new Socket();
    socket.destroy();
    expect(() => {
      answerUnparsable(new Error('x'), socket);
      answerUnparsable(Object.assign(new Error('x'), { code: 'ECONNRESET' }), new Socket());
    }).not.toThrow();
  });
});
