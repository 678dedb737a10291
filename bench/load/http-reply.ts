/** The parts of an answer that the generator needs. Parsing more would cost time of the core that the database shares. */
export interface Reply {
  readonly status: number;
  readonly text: string;
  /** The cookies that a browser would send back, as the value of a Cookie header. */
  readonly cookies: string;
}

const HEAD_END = '\r\n\r\n';

/** Parses one HTTP/1.1 answer. Returns undefined while `bytes` are incomplete. */
export function parseReply(bytes: Buffer): Reply | undefined {
  const headEnd = bytes.indexOf(HEAD_END);
  if (headEnd < 0) return undefined;
  const head = bytes.toString('latin1', 0, headEnd);
  const text = bodyOf(head, bytes.subarray(headEnd + HEAD_END.length));
  if (text === undefined) return undefined;
  const cookies = Array.from(head.matchAll(/^set-cookie: ([^;\r]*)/gim), ([, cookie]) => cookie);
  return { status: Number(head.slice(9, 12)), text, cookies: cookies.join('; ') };
}

function bodyOf(head: string, rest: Buffer): string | undefined {
  if (/^transfer-encoding: chunked/im.test(head)) return unchunked(rest);
  const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
  return rest.length < length ? undefined : rest.toString('utf8', 0, length);
}

/** Decodes chunks (RFC 9112 §7.1) without trailers. */
function unchunked(rest: Buffer): string | undefined {
  const chunks: Buffer[] = [];
  for (let at = 0; ;) {
    const lineEnd = rest.indexOf('\r\n', at);
    if (lineEnd < 0) return undefined;
    const size = Number.parseInt(rest.toString('latin1', at, lineEnd), 16);
    const begin = lineEnd + 2;
    if (rest.length < begin + size + 2) return undefined;
    if (size === 0) return Buffer.concat(chunks).toString('utf8');
    chunks.push(rest.subarray(begin, begin + size));
    at = begin + size + 2;
  }
}
