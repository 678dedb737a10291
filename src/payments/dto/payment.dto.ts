import { ArrayMaxSize, ArrayMinSize, ArrayUnique, IsArray, IsBoolean, IsDefined, ValidateBy } from 'class-validator';
import { AssertionAnswerDto } from '../../credentials/dto/ceremony-answer.dto.js';
import { Nested, NestedEach } from '../../http/request-class.js';
import { HasForm, IsRpId, IsText, Optional } from '../../http/validators.js';
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
  return URL.canParse(value) && new URL(value).href.length <= MAX_URL;
}

function IsImageUrl(): PropertyDecorator {
  return ValidateBy({
    name: 'isImageUrl',
    validator: {
      validate: isImageUrl,
      defaultMessage: () => `$property must be an https: or data:image/ URL of at most ${String(MAX_URL)} characters`,
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
  @IsText(1, 256)
  displayName: string;

  @IsImageUrl()
  icon: string;

  @Optional()
  @IsBoolean()
  iconMustBeShown?: boolean;

  @Optional()
  @IsText(1, 256)
  details?: string;
}

class LogoDto {
  @IsImageUrl()
  url: string;

  @IsText(1, 64)
  label: string;
}

export class PaymentDto {
  @IsDefined()
  @Nested(() => AmountDto)
  total: AmountDto;

  @Optional()
  @IsText(1, 256)
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
