import { ArrayMaxSize, ArrayMinSize, ArrayUnique, IsArray, IsBoolean, IsDefined, ValidateBy } from 'class-validator';
import { AssertionAnswerDto } from '../../credentials/dto/ceremony-answer.dto.js';
import { Nested, NestedEach } from '../../http/request-class.js';
import { HasForm, IsRpId, isText, IsText, Optional } from '../../http/validators.js';
import { IsOrigin, isOrigin } from '../../relying-parties/origin.js';

/** A browser writes it in capitals. */
const CURRENCY = /^[A-Za-z]{3}$/;
/** A decimal monetary value (Payment Request API §3.2), which cannot be negative in a total. */
const VALUE = /^[0-9]{1,20}(\.[0-9]{1,10})?$/;
const IMAGE = /^(https:\/\/|data:image\/)[!-~]+$/;
/** Bound of an image, which may be a `data:` URL, as it was sent and as a browser writes it. */
const MAX_URL = 32_768;

function isImageUrl(value: unknown): value is string {
  if (typeof value !== 'string' || value.length > MAX_URL || !IMAGE.test(value)) return false;
  if (!URL.canParse(value)) return false;
  const { href, username, password } = new URL(value);
  return href.length <= MAX_URL && username === '' && password === '';
}

function IsImageUrl(): PropertyDecorator {
  return ValidateBy({
    name: 'isImageUrl',
    validator: {
      validate: isImageUrl,
      defaultMessage: () =>
        `$property must be an https: or data:image/ URL of at most ${String(MAX_URL)} characters, without a user name`,
    },
  });
}

/** Characters that change the direction of a text (UAX #9 §2), so that it shows other words than it has. */
const BIDIRECTIONAL = /[\u202a-\u202e\u2066-\u2069]/;

/** A text that the browser's own dialog shows. */
function IsShownText(max: number): PropertyDecorator {
  return ValidateBy({
    name: 'isShownText',
    validator: {
      validate: (value): boolean => isText(value, 1, max) && !BIDIRECTIONAL.test(value),
      defaultMessage: () =>
        `$property must be text of 1 to ${String(max)} characters without control and bidirectional formatting characters`,
    },
  });
}

/** The https origin of a payee (Secure Payment Confirmation §4.3), as a browser writes it. */
function IsPayeeOrigin(): PropertyDecorator {
  return ValidateBy({
    name: 'isPayeeOrigin',
    validator: {
      validate: (value): boolean => isOrigin(value) && value.startsWith('https:'),
      defaultMessage: () => '$property must be an https origin, such as https://shop.example',
    },
  });
}

class AmountDto {
  @HasForm(CURRENCY, 'an ISO 4217 code, such as EUR')
  currency: string;

  @HasForm(VALUE, 'a decimal in text, such as 12.50')
  value: string;
}

class InstrumentDto {
  @IsShownText(256)
  displayName: string;

  @IsImageUrl()
  icon: string;

  @Optional()
  @IsBoolean()
  iconMustBeShown?: boolean;

  @Optional()
  @IsShownText(256)
  details?: string;
}

class LogoDto {
  @IsImageUrl()
  url: string;

  @IsShownText(64)
  label: string;
}

export class PaymentDto {
  @IsDefined()
  @Nested(() => AmountDto)
  total: AmountDto;

  @Optional()
  @IsShownText(256)
  payeeName?: string;

  @Optional()
  @IsPayeeOrigin()
  payeeOrigin?: string;

  @IsDefined()
  @Nested(() => InstrumentDto)
  instrument: InstrumentDto;

  @Optional()
  @IsArray()
  @ArrayMaxSize(8)
  @NestedEach(() => LogoDto)
  paymentEntitiesLogos?: LogoDto[];

  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(8)
  @ArrayUnique()
  @IsOrigin({ each: true })
  callerOrigins: string[];

  @Optional()
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(8)
  @ArrayUnique()
  @IsOrigin({ each: true })
  topOrigins?: string[];
}

export class IssuePaymentChallengeDto {
  @IsRpId()
  rpId: string;

  @IsText(1, 256)
  userId: string;

  @IsDefined()
  @Nested(() => PaymentDto)
  payment: PaymentDto;
}

export class ConfirmPaymentDto extends AssertionAnswerDto {}
