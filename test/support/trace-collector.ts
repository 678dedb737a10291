import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';

type Value = string | number | boolean | undefined;

export interface CollectedSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** Empty: the span begins its trace. */
  readonly parentSpanId: string;
  readonly name: string;
  readonly kind: number;
  /** 2: an error. */
  readonly status: number;
  readonly attributes: Readonly<Record<string, Value>>;
  readonly events: readonly { readonly name: string; readonly attributes: Readonly<Record<string, Value>> }[];
  readonly resource: Readonly<Record<string, Value>>;
}

/** Receives spans by OTLP over HTTP, as a collector does, and reads the binary form of the protocol. */
export class TraceCollector {
  readonly spans: CollectedSpan[] = [];
  /** Every byte of every body, as one character each. */
  text = '';
  requests = 0;
  /** The status of the answers. */
  status = 200;

  private constructor(
    private readonly server: Server,
    readonly url: string,
  ) {}

  static async start(): Promise<TraceCollector> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const collector = new TraceCollector(server, `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`);
    server.on('request', (request, response) => {
      void collector.receive(request).then(() => response.writeHead(collector.status).end());
    });
    return collector;
  }

  /** The trace's spans by their names, the parent of each before an arrow. */
  listTree(traceId: string): string[] {
    const spans = this.spans.filter((span) => span.traceId === traceId);
    const names = new Map(spans.map(({ spanId, name }) => [spanId, name]));
    return spans.map(({ parentSpanId, name }) => `${names.get(parentSpanId) ?? 'caller'} > ${name}`).toSorted();
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }

  private async receive(request: IncomingMessage): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    this.requests += 1;
    this.text += body.toString('latin1');
    for (const resourceSpans of read(body).messages(1)) {
      const resource = readAttributes(resourceSpans.message(1), 1);
      for (const scope of resourceSpans.messages(2))
        for (const span of scope.messages(2)) this.spans.push(readSpan(span, resource));
    }
  }
}

function readSpan(span: Message, resource: CollectedSpan['resource']): CollectedSpan {
  return {
    traceId: span.bytes(1).toString('hex'),
    spanId: span.bytes(2).toString('hex'),
    parentSpanId: span.bytes(4).toString('hex'),
    name: span.bytes(5).toString(),
    kind: span.number(6),
    status: span.message(15).number(3),
    attributes: readAttributes(span, 9),
    events: span.messages(11).map((event) => ({
      name: event.bytes(2).toString(),
      attributes: readAttributes(event, 3),
    })),
    resource,
  };
}

function readAttributes(message: Message, field: number): Record<string, Value> {
  return Object.fromEntries(
    message.messages(field).map((each) => [each.bytes(1).toString(), readValue(each.message(2))]),
  );
}

/** Reads `AnyValue` of OTLP: a string, a boolean or an integer. */
function readValue(value: Message): Value {
  if (value.has(1)) return value.bytes(1).toString();
  if (value.has(2)) return value.number(2) === 1;
  return value.has(3) ? value.number(3) : undefined;
}

/** A message of protocol buffers: the values of each field, in their order. */
class Message {
  constructor(private readonly fields: ReadonlyMap<number, readonly (Buffer | number)[]>) {}

  has(field: number): boolean {
    return this.fields.has(field);
  }

  bytes(field: number): Buffer {
    const value = this.fields.get(field)?.at(-1);
    return Buffer.isBuffer(value) ? value : Buffer.alloc(0);
  }

  number(field: number): number {
    const value = this.fields.get(field)?.at(-1);
    return typeof value === 'number' ? value : 0;
  }

  message(field: number): Message {
    return read(this.bytes(field));
  }

  messages(field: number): Message[] {
    return (this.fields.get(field) ?? []).filter((value) => Buffer.isBuffer(value)).map(read);
  }
}

function read(bytes: Buffer): Message {
  const fields = new Map<number, (Buffer | number)[]>();
  let at = 0;
  const readVarint = (): number => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes[at++]!;
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  };
  const take = (length: number): Buffer => bytes.subarray(at, (at += length));
  while (at < bytes.length) {
    const tag = readVarint();
    const value = [readVarint, () => take(8), () => take(readVarint()), undefined, undefined, () => take(4)][
      tag % 8
    ]!();
    fields.set(tag >> 3, [...(fields.get(tag >> 3) ?? []), value]);
  }
  return new Message(fields);
}
