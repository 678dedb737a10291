import { IdParam } from '../../http/id.param.js';
import { HasForm } from '../../http/validators.js';

export class BrowserKeyParam extends IdParam {
  @HasForm(/^[A-Za-z0-9_-]{43}$/, 'a thumbprint: 43 characters of base64url')
  thumbprint: string;
}
