import { PAGE } from '../auth-service/page-files.ts';
import { requireOwnPage, serve } from '../auth-service/serve.ts';
import { Sessions } from '../auth-service/sessions.ts';
import { shop } from '../auth-service/settings.ts';
import { BankKeys } from './bank.ts';
import { createOrderRoutes } from './orders.ts';

const keys = new BankKeys();
await keys.getReceiptKeys();

serve({
  name: 'shop',
  origin: shop.origin,
  portSetting: 'SHOP_PORT',
  folders: {
    '/client/': new URL('.', import.meta.resolve('@passkey-manager/client/payment')),
    '/shared/': PAGE['/'],
    '/': new URL('./page/', import.meta.url),
  },
  routes: createOrderRoutes({
    issuer: `passkey-manager/${process.env['PASSKEY_DEPLOYMENT_NAME'] ?? 'default'}`,
    audience: shop.audience,
    jwksFrom: keys,
  }),
  sessions: new Sessions(), // of nobody: the shop has no accounts
  admit: (request) => {
    requireOwnPage(request, shop.origin);
  },
  close: () => undefined,
});
