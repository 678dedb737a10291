import { AsnParser } from '@peculiar/asn1-schema';

const parse = AsnParser.parse.bind(AsnParser) as (data: ArrayBuffer | ArrayBufferView, target: unknown) => unknown;

/** Measures the items that the service and its libraries give to the ASN.1 parser, until it is stopped. */
export class ParserMeter {
  /** The size of each parsed item, in bytes. */
  readonly parsed: number[] = [];

  constructor() {
    const count = (data: ArrayBuffer | ArrayBufferView, target: unknown): unknown => {
      this.parsed.push(data.byteLength);
      return parse(data, target);
    };
    AsnParser.parse = count as typeof AsnParser.parse;
  }

  stop(): void {
    AsnParser.parse = parse as typeof AsnParser.parse;
  }
}
