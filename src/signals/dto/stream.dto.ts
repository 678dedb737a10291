import {
  ArrayMaxSize,
  IsArray,
  IsBoolean,
  IsIn,
  IsInt,
  IsObject,
  IsString,
  MaxLength,
  ValidateBy,
} from 'class-validator';
import { Extensible, Nested } from '../../http/request-class.js';
import { HasForm, IsText, Optional } from '../../http/validators.js';
import { POLL, PUSH, STREAM_STATUSES, type DeliveryMethod, type StreamStatus } from '../stream.entity.js';

const MAX_EVENTS = 64;
const URI = /^[!-~]{1,512}$/;
const URI_WORDS = 'a URI of 1 to 512 printable ASCII characters';

/** SSF 1.0 §6.1. */
@Extensible()
export class DeliveryDto {
  @IsIn([POLL, PUSH])
  method: DeliveryMethod;

  @Optional()
  @HasForm(URI, URI_WORDS)
  endpoint_url?: string;

  /** SSF 1.0 §6.1.1: pushes carry it. No answer shows it. */
  @Optional()
  @HasForm(/^[!-~](?:[ -~]{0,4094}[!-~])?$/, 'the value of a header: 1 to 4,096 printable ASCII characters')
  authorization_header?: string;
}

/** SSF 1.0 §8.1.1.1. */
@Extensible()
export class CreateStreamDto {
  @Optional()
  @IsArray()
  @ArrayMaxSize(MAX_EVENTS)
  @HasForm(URI, URI_WORDS, { each: true })
  events_requested?: string[];

  @Optional()
  @Nested(() => DeliveryDto)
  delivery?: DeliveryDto;

  @Optional()
  @IsText(0, 256)
  description?: string;

  /** A member of our own: SSF has none for the JWS algorithm by which the SETs of a stream are signed. */
  @Optional()
  @IsText(1, 32)
  signing_algorithm?: string;
}

/** SSF 1.0 §8.1.1.3 and §8.1.1.4. What the transmitter supplies may be there, and must be right. */
@Extensible()
export class ChangeStreamDto extends CreateStreamDto {
  @IsText(1, 256)
  stream_id: string;

  @Optional()
  @HasForm(URI, URI_WORDS)
  iss?: string;

  @Optional()
  @ValidateBy({
    name: 'isAudience',
    validator: {
      validate: (value) =>
        typeof value === 'string' || (Array.isArray(value) && value.every((each) => typeof each === 'string')),
      defaultMessage: () => '$property must be text or a list of texts',
    },
  })
  aud?: unknown;

  @Optional()
  @IsArray()
  @IsString({ each: true })
  events_supported?: string[];

  @Optional()
  @IsArray()
  @IsString({ each: true })
  events_delivered?: string[];

  @Optional()
  @IsInt()
  min_verification_interval?: number;

  @Optional()
  @IsInt()
  inactivity_timeout?: number;
}

/** Names a stream in a query. */
export class StreamQuery {
  @IsText(1, 256)
  stream_id: string;
}

/** Names a stream, or none: then all of the caller's are meant. */
export class StreamsQuery {
  @Optional()
  @IsText(1, 256)
  stream_id?: string;
}

/** SSF 1.0 §8.1.2.2. */
@Extensible()
export class ChangeStreamStatusDto {
  @IsText(1, 256)
  stream_id: string;

  @IsIn(STREAM_STATUSES)
  status: StreamStatus;

  @Optional()
  @IsText(0, 256)
  reason?: string;
}

/** SSF 1.0 §8.1.3.2 and §8.1.3.3. */
@Extensible()
export class SubjectDto {
  @IsText(1, 256)
  stream_id: string;

  /** RFC 9493 §3.2.3: the service knows users as `iss_sub`. */
  @IsObject()
  subject: Readonly<Record<string, unknown>>;

  @Optional()
  @IsBoolean()
  verified?: boolean;
}

/** SSF 1.0 §8.1.4.2. */
@Extensible()
export class VerificationDto {
  @IsText(1, 256)
  stream_id: string;

  @Optional()
  @IsString()
  @MaxLength(1_024)
  state?: string;
}
